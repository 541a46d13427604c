"""Decision trees in the graph."""

import keras
from keras import ops

__all__ = ["DecisionForest"]


@keras.saving.register_keras_serializable(package="kvision")
class DecisionForest(keras.layers.Layer):
    """The mean or the sum of the leaves that features `(batch, width)` reach in many decision trees.

    All trees stand in flat vectors, walked for `depth` steps of gather, compare, select; a leaf points to itself. The
    state, which is not trained, is set by whoever builds the layer: `roots` `(trees,)`, and for every node `feature`,
    `threshold` (float32; go left where x <= threshold), `left`, `right` and `leaf`, a row of `values`
    `(leaves, classes)`. Equal leaves share a row: a forest of pure leaves has one for each class.

    Args:
        trees: Number of trees.
        nodes: Number of nodes of all trees.
        leaves: Number of rows of `values`.
        classes: Number of columns of `values`.
        depth: Steps from a root to the lowest leaf.
        side_by_side: How many trees work for one column each, as in boosting of several classes: tree t works for
            column `t % side_by_side`, and the layer returns `side_by_side * classes` columns.
        total: Whether the trees' leaves are added (boosting) or averaged (a forest).

    References:
        Traversal, not the matrix form: Nakandala et al. 2020, Hummingbird, arXiv 2010.04804.
    """

    def __init__(
        self,
        *,
        trees: int,
        nodes: int,
        leaves: int,
        classes: int,
        depth: int,
        side_by_side: int = 1,
        total: bool = False,
        name: str = "probabilities",
        dtype="float32",
        trainable: bool = False,
    ):
        super().__init__(name=name, dtype="float32", trainable=False)  # a rounded feature takes another branch
        self.supports_jit = keras.backend.backend() != "tensorflow"  # XLA takes no int32 variable on a GPU
        self.sizes = {"trees": trees, "nodes": nodes, "leaves": leaves, "classes": classes, "depth": depth}
        self.side_by_side, self.total = side_by_side, total

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
        reached = ops.take(self.values, ops.take(self.leaf, node), axis=0)
        rounds = self.sizes["trees"] // self.side_by_side
        reached = ops.reshape(reached, (-1, rounds, self.side_by_side * self.sizes["classes"]))
        return ops.sum(reached, axis=1) if self.total else ops.mean(reached, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.side_by_side * self.sizes["classes"])

    def get_config(self):
        return {**self.sizes, "side_by_side": self.side_by_side, "total": self.total, "name": self.name}
