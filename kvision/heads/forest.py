"""A random forest on features."""

from sklearn.ensemble import RandomForestClassifier
from tqdm import tqdm

from kvision.heads.convert import forest_arrays, forest_layer
from kvision.heads.head import Head

__all__ = ["ForestHead"]

_ARRAYS = ("roots", "feature", "threshold", "left", "right", "leaf", "values", "depth")
_STEP = 25


class ForestHead(Head):
    """Random forest (Breiman 2001), fitted by scikit-learn, walked in the graph.

    n_estimators: trees; 300, not scikit-learn's 100, because of a thousand deep features each tree sees few.
    min_samples_leaf, max_depth, max_features: as scikit-learn. random_state: the same seed gives the same forest.
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
        verbose: bool = False,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_depth = max_depth
        self.max_features = max_features
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, codes):
        options = {**self.get_params(), "verbose": 0, "n_jobs": -1}
        forest = RandomForestClassifier(**options, warm_start=True)  # the same trees as grown at once
        counts = [*range(_STEP, self.n_estimators, _STEP), self.n_estimators] if self.verbose else [self.n_estimators]
        for count in tqdm(counts, "forest", unit=f" x {_STEP} trees", leave=False, disable=not self.verbose):
            forest.set_params(n_estimators=count).fit(X, codes)
        return {f"{name}_": array for name, array in forest_arrays(forest.estimators_).items()}

    def to_layer(self):
        return forest_layer({name: getattr(self, f"{name}_") for name in _ARRAYS})
