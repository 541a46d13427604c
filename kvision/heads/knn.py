"""A classifier that uses the nearest training images."""

from collections.abc import Sequence

import keras
import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import validate_data

from kvision import checks
from kvision.heads.converters.neighbors import neighbors_layer
from kvision.heads.head import ROWS, Head

__all__ = ["KNNHead"]


class KNNHead(Head):
    """Classifies by a vote of the nearest neighbors among the training features, as scikit-learn does.

    If two rows are at equal distance, the row with the lower index counts as nearer. `kvision.layers.NearestNeighbors`
    describes when distances are equal in float32. The learned arrays are `bank_` `(rows, width)`, float32, and
    `targets_` `(rows,)`, int32.

    Args:
        n_neighbors: Number of neighbors, at most the number of training rows.
        weights: `"uniform"` counts each neighbor once. `"distance"` weights each neighbor by 1 / distance.
            `"exponential"` weights each neighbor by exp(-distance / temperature).
        metric: `"euclidean"` or `"cosine"`.
        temperature: Divides the distances of `"exponential"` weights. The default is that of Wu et al. 2018 (arXiv
            1805.01978), for the metric `"cosine"`.

    Example:
        >>> features, labels = np.array([[0.0], [1.0], [4.0], [5.0]]), ["cat", "cat", "dog", "dog"]
        >>> head = kv.heads.KNNHead(1).fit(features, labels)
        >>> head.predict([[0.2], [4.4]]).tolist()
        ['cat', 'dog']

    References:
        Cover and Hart 1967, Nearest neighbor pattern classification. The defaults are those of scikit-learn.
    """

    def __init__(
        self, n_neighbors: int = 5, *, weights: str = "uniform", metric: str = "euclidean", temperature: float = 0.07
    ):
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.metric = metric
        self.temperature = temperature

    def _learn(self, X, codes):
        # In hundreds of dimensions a search tree is not faster than brute force. The layer uses brute force too.
        known = "distance" if self.weights == "exponential" else self.weights  # which scikit-learn lacks
        KNeighborsClassifier(self.n_neighbors, weights=known, metric=self.metric, algorithm="brute").fit(X, codes)
        checks.positive({"temperature": self.temperature})
        if self.n_neighbors > len(X):
            expected = f"at most the number of rows, {len(X)}"
            raise checks.UserError("n_neighbors", expected=expected, received=self.n_neighbors)
        return {"bank_": np.ascontiguousarray(X), "targets_": codes}

    def _check_learned(self):
        self._check_array("bank_", "f", None, self.n_features_in_)
        self._check_array("targets_", "i", len(self.bank_), below=len(self.classes_))

    def scores(self, X, y, counts: Sequence[int]) -> dict[int, float]:
        """Computes the accuracy for several numbers of neighbors with one search.

        Args:
            X: Features `(n, width)`.
            y: Labels `(n,)`.
            counts: Numbers of neighbors, from 1 to `n_neighbors`.

        Returns:
            A dictionary from number of neighbors to accuracy. The accuracy equals `score(X, y)` of a head with this
            number.

        Raises:
            UserError: If a count is out of range.
        """
        layer, right = self.to_layer(), dict.fromkeys(counts, 0)
        if not counts or not 1 <= min(counts) <= max(counts) <= self.n_neighbors:
            raise checks.UserError("counts", expected=f"numbers from 1 to {self.n_neighbors}", received=counts)
        X, y = validate_data(self, X, y, dtype="float32", reset=False)
        for start in range(0, len(X), ROWS):
            rows = slice(start, start + ROWS)
            index = layer.nearest(X[rows])
            for count in right:
                votes = keras.ops.convert_to_numpy(layer.vote(X[rows], index[:, :count]))
                right[count] += int((self.classes_[votes.argmax(axis=1)] == y[rows]).sum())
        return {count: hits / len(X) for count, hits in right.items()}

    def _layer(self):
        options = {"k": self.n_neighbors, "weights": self.weights, "metric": self.metric}
        if self.weights == "exponential":
            options["temperature"] = self.temperature
        return neighbors_layer(self.bank_, self.targets_, classes=len(self.classes_), **options)
