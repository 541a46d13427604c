"""A random forest on features."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from kvision import checks
from kvision.heads.converters.trees import forest_arrays, forest_layer
from kvision.heads.head import Head
from kvision.progress import Bar

__all__ = ["ForestHead"]

_ARRAYS = ("roots", "feature", "threshold", "left", "right", "leaf", "values", "depth")
_STEP = 30  # trees per step of the bar. The number is even: otherwise one of two cores waits at each step
_DEEPEST = 1_000  # the largest depth that a file may give


class ForestHead(Head):
    """Classifies by a random forest that scikit-learn fits.

    The learned arrays are those of `kvision.layers.DecisionForest`. Their names here end in `_`.

    Args:
        n_estimators: Number of trees. The default is 300 instead of scikit-learn's 100, because one tree uses few of
            about a thousand features.
        min_samples_leaf: The smallest number of training rows in a leaf, as in scikit-learn.
        max_depth: The largest depth of a tree, as in scikit-learn. If None, the depth is not limited.
        max_features: Number or share of the features that are tried at a node, as in scikit-learn.
        random_state: Seed. The same seed gives the same forest.
        bins: If None, every threshold is tried, as in scikit-learn. A number of at least 2 tries only `bins - 1`
            thresholds, at equal distances between the smallest and the largest value of a feature. 32 bins take half
            the time.
        verbose: Shows a progress bar on standard error.

    Example:
        >>> features, labels = np.array([[0.0], [1.0], [4.0], [5.0]]), ["cat", "cat", "dog", "dog"]
        >>> head = kv.heads.ForestHead(10).fit(features, labels)
        >>> head.predict([[0.2], [4.4]]).tolist()
        ['cat', 'dog']

    References:
        Breiman 2001, Random forests. Bins: Panda et al. 2009, PLANET. 32 bins are the default of Spark's MLlib.
    """

    def __init__(
        self,
        n_estimators: int = 300,
        *,
        min_samples_leaf: int = 1,
        max_depth: int | None = None,
        max_features: str | float | int = "sqrt",
        random_state: int | None = 0,
        bins: int | None = None,
        verbose: bool = False,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_depth = max_depth
        self.max_features = max_features
        self.random_state = random_state
        self.bins = bins
        self.verbose = verbose

    def _learn(self, X, codes):
        options = {name: value for name, value in self.get_params().items() if name != "bins"} | {"verbose": 0}
        # With a warm start the trees are the same as when all of them grow at once.
        forest = RandomForestClassifier(**options, n_jobs=-1, warm_start=True)
        edges = None if self.bins is None else _edges(X, self.bins)
        X = np.asfortranarray(X) if edges is None else _binned(X, edges)  # a node reads only a few columns
        counts = [*range(_STEP, self.n_estimators, _STEP), self.n_estimators] if self.verbose else [self.n_estimators]
        for count in Bar(counts, "forest", unit=f" x {_STEP} trees", leave=False, disable=not self.verbose):
            forest.set_params(n_estimators=count).fit(X, codes)
        arrays = forest_arrays(forest.estimators_)
        if edges is not None:  # A bin number is at most t exactly if the feature is at most the upper edge of bin t.
            arrays["threshold"] = edges[np.floor(arrays["threshold"]).astype(int), arrays["feature"]]
        return {f"{name}_": array for name, array in arrays.items()}

    def _check_learned(self):
        nodes = len(self.feature_)
        self._check_array("roots_", "i", None, below=nodes)
        self._check_array("threshold_", "f", nodes)
        self._check_array("values_", "f", None, len(self.classes_))
        limits = {"feature_": self.n_features_in_, "left_": nodes, "right_": nodes, "leaf_": len(self.values_)}
        for name, below in limits.items():
            self._check_array(name, "i", nodes, below=below)
        if not 0 <= self.depth_ <= _DEEPEST:
            raise ValueError(f"depth_ is {self.depth_!r}, not a number from 0 to {_DEEPEST}")

    def _layer(self):
        return forest_layer({name: getattr(self, f"{name}_") for name in _ARRAYS})


def _edges(X: np.ndarray, bins: int) -> np.ndarray:
    """Returns the edges `(bins - 1, width)` between the bins. The bins of a column have equal widths."""
    if type(bins) is not int or bins < 2:
        raise checks.UserError("bins", expected="None or an integer of at least 2", received=bins)
    return np.linspace(X.min(axis=0), X.max(axis=0), bins + 1, dtype="float32")[1:-1]


def _binned(X: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Returns the bin number of each value, counted from 0. An edge belongs to the bin below it."""
    found = np.empty_like(X, dtype="float32", order="F")
    for column in range(X.shape[1]):
        found[:, column] = np.searchsorted(edges[:, column], X[:, column])
    return found
