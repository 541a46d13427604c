"""Decision trees as a Keras layer."""

import keras
from keras import ops

__all__ = ["DecisionForest"]


@keras.saving.register_keras_serializable(package="kvision")
class DecisionForest(keras.layers.Layer):
    """Evaluates decision trees on features `(batch, width)` and returns the mean or sum of the reached leaves.

    `kv.heads` creates this layer from a fitted forest or boosting classifier and assigns its variables, which do not
    train. The nodes of all trees are numbered together:

    - `roots` `(trees,)`: the first node of each tree.
    - `feature`, `threshold`, `left`, `right` `(nodes,)`: a node compares one feature with its threshold and continues
      to the left node if the feature is not greater. For a leaf, both `left` and `right` are the leaf itself.
    - `leaf` `(nodes,)`: the row of `values` that belongs to the node.
    - `values` `(leaves, classes)`: the outputs. Leaves with equal outputs share one row.

    Args:
        trees: Number of trees.
        nodes: Number of nodes of all trees.
        leaves: Number of rows of `values`.
        classes: Number of columns of `values`.
        depth: Number of steps from a root to the lowest leaf.
        side_by_side: Number of groups of output columns, for boosting of several classes. The output of tree t is added
            to group `t % side_by_side`. The layer returns `side_by_side * classes` columns.
        total: True adds the leaves of all trees, as boosting does. False averages them, as a forest does.
        name: Name of the layer.

    Example:
        >>> layer = kv.layers.DecisionForest(trees=10, nodes=70, leaves=4, classes=3, depth=3)
        >>> layer(keras.Input((64,))).shape
        (None, 3)

    References:
        Nakandala et al. 2020, arXiv 2010.04804, tree traversal.
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
    ):
        # In a lower precision, a rounded feature could lead to the wrong branch.
        super().__init__(name=name, dtype="float32", trainable=False)
        # TensorFlow's XLA does not support int32 variables on a GPU.
        self.supports_jit = keras.backend.backend() != "tensorflow"
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
