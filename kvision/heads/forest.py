"""A random forest on features."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from kvision import checks
from kvision.heads.converters.trees import forest_arrays, forest_layer
from kvision.heads.head import Head
from kvision.progress import Bar

__all__ = ["ForestHead"]

_ARRAYS = ("roots", "feature", "threshold", "left", "right", "leaf", "values", "depth")
_STEP = 30  # trees between two steps of the bar: even, or one of two cores waits at each
_DEEPEST = 1_000  # the graph has so many steps: a file must not ask for a million


class ForestHead(Head):
    """Random forest (Breiman 2001), fitted by scikit-learn, walked in the graph.

    n_estimators: trees; 300, not scikit-learn's 100, because of a thousand deep features each tree sees few.
    min_samples_leaf, max_depth, max_features: as scikit-learn. random_state: the same seed gives the same forest.
    bins: None tries every threshold, as scikit-learn; a count, only that many - 1 of equal distance between a feature's
    least and greatest value, which takes half the time (PLANET, Panda et al. 2009; 32 in Spark's MLlib).
    verbose: a progress bar on standard error.
    Learned: the arrays of `kvision.layers.DecisionForest`, each with a trailing `_`.
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
        forest = RandomForestClassifier(**options, n_jobs=-1, warm_start=True)  # the same trees as grown at once
        edges = None if self.bins is None else _edges(X, self.bins)
        X = np.asfortranarray(X) if edges is None else _binned(X, edges)  # a node reads a few columns
        counts = [*range(_STEP, self.n_estimators, _STEP), self.n_estimators] if self.verbose else [self.n_estimators]
        for count in Bar(counts, "forest", unit=f" x {_STEP} trees", leave=False, disable=not self.verbose):
            forest.set_params(n_estimators=count).fit(X, codes)
        arrays = forest_arrays(forest.estimators_)
        if edges is not None:  # a bin's number is at most t where the feature is at most the bin's upper edge
            arrays["threshold"] = edges[np.floor(arrays["threshold"]).astype(int), arrays["feature"]]
        return {f"{name}_": array for name, array in arrays.items()}

    def _check_learned(self):
        roots = self._check_array("roots_", "i", None)
        feature = self._check_array("feature_", "i", None)
        nodes = len(feature)
        self._check_array("threshold_", "f", nodes)
        left, right, leaf = (self._check_array(name, "i", nodes) for name in ("left_", "right_", "leaf_"))
        values = self._check_array("values_", "f", None, len(self.classes_))
        if self.n_estimators != len(roots) or len(roots) == 0:
            raise ValueError(f"n_estimators is {self.n_estimators!r} and there are {len(roots)} trees")
        # a graph reads beyond its vectors, or refuses at the first image, where an index is none
        for name, array, count in [
            ("roots_", roots, nodes),
            ("feature_", feature, self.n_features_in_),
            ("leaf_", leaf, len(values)),
            ("left_", left, nodes),
            ("right_", right, nodes),
        ]:
            if array.min() < 0 or array.max() >= count:
                raise ValueError(f"{name} are not indices of {count}")
        if values.min() < 0 or abs(values.sum(axis=1) - 1).max() > 1e-3:
            raise ValueError("values_ are not probabilities")
        if not 0 <= self.depth_ <= _DEEPEST or _depth(roots, left, right) != self.depth_:
            raise ValueError(f"depth_ is {self.depth_!r}, which its trees have not (at most {_DEEPEST})")

    def _layer(self):
        return forest_layer({name: getattr(self, f"{name}_") for name in _ARRAYS})


def _edges(X: np.ndarray, bins: int) -> np.ndarray:
    """(N, D) -> (bins - 1, D) float32: upper edges of all bins but the last, of equal width in each column."""
    if type(bins) is not int or bins < 2:
        raise checks.error("bins", expected="None or an integer of at least 2", received=bins)
    return np.linspace(X.min(axis=0), X.max(axis=0), bins + 1, dtype="float32")[1:-1]


def _binned(X: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, D) float32 in Fortran's order: the bin of each value, from 0; an edge belongs to the bin below."""
    found = np.empty_like(X, dtype="float32", order="F")
    for column in range(X.shape[1]):
        found[:, column] = np.searchsorted(edges[:, column], X[:, column])
    return found


def _depth(roots: np.ndarray, left: np.ndarray, right: np.ndarray) -> int:
    """Steps until every walk stands on a leaf (a node that points to itself); at most one more than _DEEPEST."""
    here = np.arange(len(left))
    inner = (left != here) | (right != here)
    steps, level = 0, roots
    while steps <= _DEEPEST and len(level := np.unique(level[inner[level]])):
        level = np.concatenate([left[level], right[level]])
        steps += 1
    return steps
