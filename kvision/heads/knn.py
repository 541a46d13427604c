"""The nearest training images vote."""

from collections.abc import Sequence

import keras
import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from kvision import checks
from kvision.heads.converters.neighbors import neighbors_layer
from kvision.heads.head import ROWS, Head

__all__ = ["KNNHead"]


class KNNHead(Head):
    """Votes of the k nearest neighbors of a query among the training features, as scikit-learn counts them.

    Of equally near rows the one with the lower index counts; `kvision.layers.NearestNeighbors` says what float32 takes
    for equally near. The learned arrays are `bank_` `(rows, width)` float32 and `targets_` `(rows,)` int32.

    Args:
        k: Number of neighbors, at most the number of rows.
        weights: "uniform" or "distance".
        metric: "euclidean" or "cosine".

    References:
        Cover and Hart 1967, Nearest neighbor pattern classification. Defaults as in scikit-learn.
    """

    def __init__(self, k: int = 5, *, weights: str = "uniform", metric: str = "euclidean"):
        self.k = k
        self.weights = weights
        self.metric = metric

    def _learn(self, X, codes):
        # brute force: in hundreds of dimensions no tree is faster, and the layer is brute force too
        KNeighborsClassifier(self.k, weights=self.weights, metric=self.metric, algorithm="brute").fit(X, codes)
        if self.k > len(X):
            raise checks.error(
                "k", expected=f"at most the number of rows, {len(X)}", received=self.k, hint="Choose a smaller k"
            )
        return {"bank_": np.ascontiguousarray(X), "targets_": codes}

    def _check_learned(self):
        if type(self.k) is not int or self.k < 1:
            raise ValueError(f"k is {self.k!r}")
        bank = self._check_array("bank_", "f", None, self.n_features_in_)
        targets = self._check_array("targets_", "i", len(bank))
        if len(bank) == 0 or targets.min() < 0 or targets.max() >= len(self.classes_):
            raise ValueError(f"targets_ are not indices of {len(self.classes_)} classes")

    def scores(self, X, y, counts: Sequence[int]) -> dict[int, float]:
        """What `score(X, y)` would be with each k of `counts`, all at most this head's: one search serves them all."""
        check_is_fitted(self)
        if not counts or not 1 <= min(counts) <= max(counts) <= self.k:
            raise checks.error("counts", expected=f"numbers of neighbors from 1 to {self.k}", received=counts)
        X, y = validate_data(self, X, y, dtype="float32", reset=False)
        layer, right = self.to_layer(), dict.fromkeys(counts, 0)
        for start in range(0, len(X), ROWS):
            rows = slice(start, start + ROWS)
            index = layer.nearest(X[rows])
            for k in right:
                votes = keras.ops.convert_to_numpy(layer.vote(X[rows], index[:, :k]))
                right[k] += int((self.classes_[votes.argmax(axis=1)] == y[rows]).sum())
        return {k: count / len(X) for k, count in right.items()}

    def _layer(self):
        options = {"k": self.k, "weights": self.weights, "metric": self.metric}
        return neighbors_layer(self.bank_, self.targets_, classes=len(self.classes_), **options)
