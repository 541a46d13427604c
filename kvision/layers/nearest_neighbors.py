"""Nearest neighbours in the graph."""

import keras
from keras import ops

from kvision import checks

__all__ = ["METRICS", "WEIGHTS", "NearestNeighbors"]

WEIGHTS = ("uniform", "distance")
METRICS = ("euclidean", "cosine")


@keras.saving.register_keras_serializable(package="kvision")
class NearestNeighbors(keras.layers.Layer):
    """Votes of the k nearest rows of a bank: features (B, D) float32 -> probabilities (B, C) float32.

    weights: "uniform" (each neighbour one vote) or "distance" (1 / distance; where neighbours coincide with the query,
    they alone vote), as `sklearn.neighbors.KNeighborsClassifier`. metric: "euclidean" or "cosine" (1 - cosine).
    Of equally near rows the one with the lower index counts. The state, not trained, is set by whoever builds the
    layer: `bank` (N, D) minus `center` (D,), for cosine of unit length with center 0, and `targets` (N,) int32 in
    [0, C).
    """

    def __init__(
        self, *, count: int, width: int, classes: int, k: int, weights: str, metric: str,
        name: str = "probabilities", dtype="float32", trainable: bool = False,
    ):  # fmt: skip
        super().__init__(name=name, dtype="float32", trainable=False)  # votes flip in lower precision
        self.supports_jit = keras.backend.backend() != "tensorflow"  # XLA takes no int32 variable on a GPU
        if not 1 <= k <= count:
            raise checks.error("k", expected=f"1 to the {count} images of the bank", received=k)
        self.sizes = {"count": count, "width": width, "classes": classes, "k": k}
        self.weights_rule = checks.one_of("weights", weights, WEIGHTS)
        self.metric = checks.one_of("metric", metric, METRICS)
        self.bank = self.add_weight(shape=(count, width), initializer="zeros", trainable=False, name="bank")
        self.center = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="center")
        self.targets = self.add_weight(
            shape=(count,), dtype="int32", initializer="zeros", trainable=False, name="targets"
        )
        self.built = True

    def call(self, features):
        return self.vote(features, self.nearest(features))

    def nearest(self, features):
        """(B, D) -> (B, k) int32: the nearest rows of the bank, nearest first."""
        # ||x - b||^2 = ||x||^2 - (2 x.b - ||b||^2): the first term does not change the order; cosine has ||b|| = 1
        x = self._centered(features)
        nearness = 2 * ops.matmul(x, ops.transpose(self.bank)) - ops.sum(ops.square(self.bank), axis=1)
        return ops.top_k(nearness, self.sizes["k"])[1]

    def vote(self, features, index):
        """Features (B, D) and rows of the bank (B, n) -> probabilities (B, C)."""
        votes = ops.one_hot(ops.take(self.targets, index, axis=0), self.sizes["classes"], dtype="float32")
        if self.weights_rule == "uniform":
            return ops.mean(votes, axis=1)
        # the differences themselves: exactly 0 where query and row are equal
        x = self._centered(features)
        squares = ops.sum(ops.square(x[:, None, :] - ops.take(self.bank, index, axis=0)), axis=2)
        distance = squares / 2 if self.metric == "cosine" else ops.sqrt(squares)
        zero = ops.cast(ops.equal(distance, 0), "float32")
        weight = ops.where(ops.any(distance == 0, axis=1, keepdims=True), zero, 1 / ops.maximum(distance, 1e-30))
        return ops.sum(votes * weight[:, :, None], axis=1) / ops.sum(weight, axis=1, keepdims=True)

    def _centered(self, features):
        x = features - self.center  # around the center the squares are small, and so is what float32 loses
        return x / ops.maximum(ops.norm(x, axis=1, keepdims=True), 1e-12) if self.metric == "cosine" else x

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.sizes["classes"])

    def get_config(self):
        return {**self.sizes, "weights": self.weights_rule, "metric": self.metric, "name": self.name}
