"""Nearest neighbors in the graph."""

import keras
from keras import ops

from kvision import checks

__all__ = ["METRICS", "WEIGHTS", "NearestNeighbors"]

WEIGHTS = ("uniform", "distance")
METRICS = ("euclidean", "cosine")
_COLUMNS = 8  # of the bank at a time: (256, 10,000, 8) float32 are 82 MB


@keras.saving.register_keras_serializable(package="kvision")
class NearestNeighbors(keras.layers.Layer):
    """Votes of the k nearest rows of a bank: features `(batch, width)` become probabilities `(batch, classes)`.

    Of equally near rows the one with the lower index counts. Whether rows are equally near is float32's word: it is
    exact for equal rows and for integers whose squared distances stay below 2^24; of other rows, rounding can part
    distances that are equal in real numbers, or join distances that differ by 1e-7 of the squared features.

    The state, which is not trained, is set by whoever builds the layer: `bank` `(count, width)` minus `center`
    `(width,)`, rows of unit length before that if the metric is "cosine"; `targets` `(count,)` int32 in [0, classes);
    `empty` `(count,)`, 1 for a row of zeros if the metric is "cosine", else 0.

    Args:
        count: Rows of the bank.
        width: Number of features.
        classes: Number of classes.
        k: Number of neighbors, 1 to `count`.
        weights: "uniform" (each neighbor has one vote) or "distance" (1 / distance; where neighbors coincide with the
            query, they alone vote), as in `sklearn.neighbors.KNeighborsClassifier`.
        metric: "euclidean" or "cosine" (1 - cosine; 1 where one of both is a row of zeros).
        candidates: How many rows, found by one matrix product, are compared by their differences, which lose no digits
            where features are far from the center. `k`, the default, compares none, `count` all.
    """

    def __init__(
        self,
        *,
        count: int,
        width: int,
        classes: int,
        k: int,
        weights: str,
        metric: str,
        candidates: int | None = None,
        name: str = "probabilities",
        dtype="float32",
        trainable: bool = False,
    ):
        super().__init__(name=name, dtype="float32", trainable=False)  # votes flip in lower precision
        self.supports_jit = keras.backend.backend() != "tensorflow"  # XLA takes no int32 variable on a GPU
        if not 1 <= k <= count:
            raise checks.error("k", expected=f"1 to the {count} images of the bank", received=k)
        candidates = k if candidates is None else candidates
        self.sizes = {"count": count, "width": width, "classes": classes, "k": k, "candidates": candidates}
        self.weights_rule = checks.one_of("weights", weights, WEIGHTS)
        self.metric = checks.one_of("metric", metric, METRICS)

        def state(label: str, *shape: int, dtype: str = "float32"):
            return self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=label)

        self.bank, self.center = state("bank", count, width), state("center", width)
        self.targets, self.empty = state("targets", count, dtype="int32"), state("empty", count)
        self.built = True

    def call(self, features):
        return self.vote(features, self.nearest(features))

    def nearest(self, features):
        """The rows of the bank that are nearest to features `(batch, width)`: `(batch, k)` int32, nearest first."""
        x, empty = self._placed(features)
        k, candidates = self.sizes["k"], self.sizes["candidates"]
        if candidates == self.sizes["count"]:
            return ops.top_k(self._tied(-self._all_squares(x), empty), k)[1]
        # ||x - b||^2 = ||x||^2 - (2 x.b - ||b||^2), and ||x||^2 does not change the order
        nearness = 2 * ops.matmul(x, ops.transpose(self.bank)) - ops.sum(ops.square(self.bank), axis=1) - self.empty
        index = ops.top_k(self._tied(nearness, empty), candidates)[1]
        if candidates == k:
            return index
        index = -ops.top_k(-index, candidates)[0]  # ascending: of equals the lower index is found first
        return ops.take_along_axis(index, ops.top_k(self._tied(-self._squares(x, index), empty), k)[1], axis=1)

    def vote(self, features, index):
        """Features `(batch, width)` and rows of the bank `(batch, n)` become probabilities `(batch, classes)`."""
        votes = ops.one_hot(ops.take(self.targets, index, axis=0), self.sizes["classes"], dtype="float32")
        if self.weights_rule == "uniform":
            return ops.mean(votes, axis=1)
        x, empty = self._placed(features)
        squares = self._squares(x, index)
        distance = (squares + empty) / 2 if self.metric == "cosine" else ops.sqrt(squares)
        zero = ops.cast(ops.equal(distance, 0), "float32")
        weight = ops.where(ops.any(distance == 0, axis=1, keepdims=True), zero, 1 / ops.maximum(distance, 1e-30))
        return ops.sum(votes * weight[:, :, None], axis=1) / ops.sum(weight, axis=1, keepdims=True)

    def _placed(self, features):
        """Features as the bank's rows are, and `(batch, 1)`: 1 for a row of zeros if the metric is "cosine"."""
        if self.metric == "euclidean":
            return features - self.center, ops.zeros_like(features[:, :1])
        # not by the square root of the sum of squares, which overflows: norms are of any size
        largest = ops.max(ops.abs(features), axis=1, keepdims=True)
        empty = ops.cast(largest == 0, "float32")
        x = features / (largest + empty)
        x = x / (ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True)) + empty)
        return x - self.center, empty

    def _squares(self, x, index):
        """Squared distances from the differences themselves: exactly 0 where query and row are equal."""
        squares = ops.sum(ops.square(x[:, None, :] - ops.take(self.bank, index, axis=0)), axis=2)
        return squares + ops.take(self.empty, index, axis=0)

    def _all_squares(self, x):
        """The same for all rows of the bank, a few columns at a time: `(batch, count, width)` would not fit."""
        squares = ops.zeros_like(x[:, :1]) + self.empty
        for start in range(0, self.sizes["width"], _COLUMNS):
            part = slice(start, start + _COLUMNS)
            squares = squares + ops.sum(ops.square(x[:, None, part] - self.bank[:, part]), axis=2)
        return squares

    def _tied(self, nearness, empty):
        """To a query of zeros all rows are equally near by their cosine."""
        return nearness if self.metric == "euclidean" else ops.where(empty > 0, 0.0, nearness)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.sizes["classes"])

    def get_config(self):
        return {**self.sizes, "weights": self.weights_rule, "metric": self.metric, "name": self.name}
