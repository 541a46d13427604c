"""Decision trees in the graph."""

import keras
from keras import ops

__all__ = ["DecisionForest"]


@keras.saving.register_keras_serializable(package="kvision")
class DecisionForest(keras.layers.Layer):
    """Mean leaf of many decision trees: features (B, D) float32 -> probabilities (B, C) float32.

    All trees stand in flat vectors, walked for `depth` steps of gather, compare, select; a leaf points to itself.
    (Traversal, not the matrix form: Hummingbird, Nakandala et al. 2020, arXiv 2010.04804.) The state, not
    trained, is set by whoever builds the layer: `roots` (T,), and for every node `feature`, `threshold` (float32; go
    left where x <= threshold), `left`, `right`, `leaf` (row of `values` (L, C)).
    """

    def __init__(
        self, *, trees: int, nodes: int, leaves: int, classes: int, depth: int,
        name: str = "probabilities", dtype="float32", trainable: bool = False,
    ):  # fmt: skip
        super().__init__(name=name, dtype="float32", trainable=False)  # a rounded feature takes another branch
        self.supports_jit = keras.backend.backend() != "tensorflow"  # XLA takes no int32 variable on a GPU
        self.sizes = {"trees": trees, "nodes": nodes, "leaves": leaves, "classes": classes, "depth": depth}

        def state(label: str, shape: tuple[int, ...], dtype: str = "int32"):
            return self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=label)

        self.roots = state("roots", (trees,))
        self.feature = state("feature", (nodes,))
        self.threshold = state("threshold", (nodes,), "float32")
        self.left, self.right = state("left", (nodes,)), state("right", (nodes,))
        self.leaf = state("leaf", (nodes,))
        self.values = state("values", (leaves, classes), "float32")
        self.built = True

    def call(self, features):
        node = ops.zeros_like(features[:, :1], dtype="int32") + self.roots[None, :]
        for _ in range(self.sizes["depth"]):
            value = ops.take_along_axis(features, ops.take(self.feature, node), axis=1)
            stays_left = value <= ops.take(self.threshold, node)
            node = ops.where(stays_left, ops.take(self.left, node), ops.take(self.right, node))
        return ops.mean(ops.take(self.values, ops.take(self.leaf, node), axis=0), axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.sizes["classes"])

    def get_config(self):
        return {**self.sizes, "name": self.name}
