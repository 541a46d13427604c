"""A nearest-neighbors classifier as a Keras layer."""

import keras
from keras import ops

from kvision import checks

__all__ = ["METRICS", "WEIGHTS", "NearestNeighbors"]

WEIGHTS = ("uniform", "distance", "exponential")
METRICS = ("euclidean", "cosine")
_COLUMNS = 8  # columns of the bank that are compared at a time: (256, 10,000, 8) float32 values take 82 MB


@keras.saving.register_keras_serializable(package="kvision")
class NearestNeighbors(keras.layers.Layer):
    """Classifies features `(batch, width)` by the votes of their k nearest training images.

    The training features are stored in the layer and called its bank. If two rows of the bank are equally near, the one
    with the lower index counts. Distances are computed in float32. They are exact for equal rows, and for integers with
    squared distances below 2^24. For other rows, rounding can separate distances that are equal in theory, or merge
    distances that differ by less than 1e-7 of the squared features.

    `kv.heads` creates this layer from a fitted classifier and assigns its variables, which do not train:

    - `center` `(width,)`: a vector that is subtracted from all features, so that distances are more precise.
    - `bank` `(count, width)`: the training features, from which `center` is subtracted. For the metric `"cosine"` they
      are scaled to unit length before the subtraction.
    - `targets` `(count,)`: the class index of each row.
    - `empty` `(count,)`: 1 for a row of zeros if the metric is `"cosine"`, else 0.

    Args:
        count: Number of rows of the bank.
        width: Number of features.
        classes: Number of classes.
        k: Number of neighbors, from 1 to `count`.
        weights: `"uniform"` gives each neighbor one vote. `"distance"` weights each vote by 1 / distance. If a neighbor
            equals the features, only equal neighbors vote. Both are as in `sklearn.neighbors.KNeighborsClassifier`.
            `"exponential"` weights each vote by exp(-distance / temperature), as in Wu et al. 2018 (arXiv 1805.01978).
        metric: `"euclidean"`, or `"cosine"` for the distance 1 - cosine. This distance is 1 if one of the two rows
            contains only zeros.
        candidates: Number of rows that a matrix product selects and that are then compared exactly. The product is fast
            but less precise for features far from the center. The default is `k`: no row is compared exactly. A value
            of `count` compares all rows exactly.
        temperature: Divides the distances of `"exponential"` weights. Must be positive.
        name: Name of the layer.

    Raises:
        UserError: If `k` is not between 1 and `count`, or the weights or the metric are unknown.

    Example:
        >>> options = {"k": 5, "weights": "uniform", "metric": "euclidean"}
        >>> layer = kv.layers.NearestNeighbors(count=100, width=64, classes=3, **options)
        >>> layer(keras.Input((64,))).shape
        (None, 3)
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
        temperature: float = 0.07,
        name: str = "probabilities",
    ):
        # A lower precision could change the order of the neighbors.
        super().__init__(name=name, dtype="float32", trainable=False)
        # TensorFlow's XLA does not support int32 variables on a GPU.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        if not 1 <= k <= count:
            raise checks.UserError("k", expected=f"1 to the {count} images of the bank", received=k)
        candidates = k if candidates is None else candidates
        self.sizes = {"count": count, "width": width, "classes": classes, "k": k, "candidates": candidates}
        self.weights_rule = checks.one_of("weights", weights, WEIGHTS)
        self.metric = checks.one_of("metric", metric, METRICS)
        checks.positive({"temperature": temperature})
        self.temperature = temperature

        def state(label: str, *shape: int, dtype: str = "float32"):
            return self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=label)

        self.bank, self.center = state("bank", count, width), state("center", width)
        self.targets, self.empty = state("targets", count, dtype="int32"), state("empty", count)
        self.built = True

    def call(self, features):
        return self.vote(features, self.nearest(features))

    def nearest(self, features):
        """Finds the nearest rows of the bank.

        Args:
            features: Features `(batch, width)`.

        Returns:
            Indices `(batch, k)` of rows, int32, the nearest first.
        """
        x, empty = self._placed(features)
        k, candidates = self.sizes["k"], self.sizes["candidates"]
        if candidates == self.sizes["count"]:
            return ops.top_k(self._tied(-self._all_squares(x), empty), k)[1]
        # ||x - b||^2 = ||x||^2 - (2 x.b - ||b||^2), and ||x||^2 does not change the order.
        nearness = 2 * ops.matmul(x, ops.transpose(self.bank)) - ops.sum(ops.square(self.bank), axis=1) - self.empty
        index = ops.top_k(self._tied(nearness, empty), candidates)[1]
        if candidates == k:
            return index
        # The indices are sorted in ascending order, so that `top_k` finds the lower index of two equal rows first.
        index = -ops.top_k(-index, candidates)[0]
        return ops.take_along_axis(index, ops.top_k(self._tied(-self._squares(x, index), empty), k)[1], axis=1)

    def vote(self, features, index):
        """Lets rows of the bank vote for their classes.

        Args:
            features: Features `(batch, width)`.
            index: Indices `(batch, n)` of rows of the bank.

        Returns:
            Probabilities `(batch, classes)`.
        """
        votes = ops.one_hot(ops.take(self.targets, index, axis=0), self.sizes["classes"], dtype="float32")
        if self.weights_rule == "uniform":
            return ops.mean(votes, axis=1)
        x, empty = self._placed(features)
        squares = self._squares(x, index)
        distance = (squares + empty) / 2 if self.metric == "cosine" else ops.sqrt(squares)
        if self.weights_rule == "exponential":  # the softmax over neighbors, which does not underflow
            return ops.sum(votes * ops.softmax(-distance / self.temperature, axis=1)[:, :, None], axis=1)
        zero = ops.cast(ops.equal(distance, 0), "float32")
        weight = ops.where(ops.any(distance == 0, axis=1, keepdims=True), zero, 1 / ops.maximum(distance, 1e-30))
        return ops.sum(votes * weight[:, :, None], axis=1) / ops.sum(weight, axis=1, keepdims=True)

    def _placed(self, features):
        """Transforms features like the rows of the bank. With "cosine" the second result is 1 for rows of zeros."""
        if self.metric == "euclidean":
            return features - self.center, ops.zeros_like(features[:, :1])
        # Dividing by the largest value first avoids an overflow of the squares.
        largest = ops.max(ops.abs(features), axis=1, keepdims=True)
        empty = ops.cast(largest == 0, "float32")
        x = features / (largest + empty)
        x = x / (ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True)) + empty)
        return x - self.center, empty

    def _squares(self, x, index):
        """Returns squared distances `(batch, n)`, computed from differences. They are exactly 0 for equal rows."""
        squares = ops.sum(ops.square(x[:, None, :] - ops.take(self.bank, index, axis=0)), axis=2)
        return squares + ops.take(self.empty, index, axis=0)

    def _all_squares(self, x):
        """Returns squared distances to all rows of the bank. It uses a few columns at a time to save memory."""
        squares = ops.zeros_like(x[:, :1]) + self.empty
        for start in range(0, self.sizes["width"], _COLUMNS):
            part = slice(start, start + _COLUMNS)
            squares = squares + ops.sum(ops.square(x[:, None, part] - self.bank[:, part]), axis=2)
        return squares

    def _tied(self, nearness, empty):
        """With the metric "cosine", makes all rows of the bank equally near to features that are all zeros."""
        return nearness if self.metric == "euclidean" else ops.where(empty > 0, 0.0, nearness)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.sizes["classes"])

    def get_config(self):
        return {**self.sizes, "weights": self.weights_rule, "metric": self.metric, **self._more(), "name": self.name}

    def _more(self) -> dict:
        return {"temperature": self.temperature} if self.weights_rule == "exponential" else {}
