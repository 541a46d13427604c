"""The memory bank of NPID."""

import keras
from keras import ops

from kvision import checks, distribute
from kvision.ops import unit
from kvision.selfsup.queue import unit_rows

__all__ = ["MemoryBank"]


class MemoryBank(keras.layers.Layer):
    """Stores one feature vector for each image of the data set.

    Call the layer once per step. `bank(features, index, training=training)` returns a copy of all rows,
    `(count, width)`, as they were before this step. In training, the layer then replaces the rows at `index` by the
    normalized moving average `momentum * row + (1 - momentum) * feature`. It uses the features of all replicas. An
    index should occur at most once in a batch. Otherwise the layer keeps only one feature of that index, and on a GPU
    this can be any of them.

    The rows start as random unit vectors. They are weights of the layer, so they are saved and restored with the model.

    Args:
        count: Number of images in the data set.
        width: Number of features per image.
        momentum: Weight of the old row, in [0, 1). The default is from the published code.

    Raises:
        UserError: If `count` or `width` is not positive, or `momentum` is outside of [0, 1).

    References:
        Wu et al. 2018, arXiv 1805.01978, section 3.1.
    """

    def __init__(self, count: int, width: int, *, momentum: float = 0.5):
        super().__init__(dtype="float32")
        checks.positive({"count": count, "width": width})
        if not 0 <= momentum < 1:
            raise checks.UserError("momentum", expected="a number in [0, 1)", received=momentum)
        self.count, self.momentum = count, momentum
        self.rows = self.add_weight(
            (count, width), initializer=unit_rows, trainable=False, aggregation="only_first_replica", name="rows"
        )
        self.built = True

    def call(self, features, index, training=False):
        old = ops.copy(self.rows)
        if training:
            features = distribute.gather_replicas(ops.stop_gradient(features))
            index = distribute.gather_replicas(index)
            new = unit(self.momentum * ops.take(old, index, axis=0) + (1 - self.momentum) * features)
            self.rows.assign(ops.scatter_update(old, index[:, None], new))
        return old
