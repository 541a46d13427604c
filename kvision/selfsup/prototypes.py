"""The prototypes of SwAV: cluster centers that are trained with the network."""

import keras
from keras import ops

from kvision import checks
from kvision.ops import unit
from kvision.selfsup.countdown import Countdown

__all__ = ["Prototypes", "UnitColumns"]


class UnitColumns(keras.constraints.Constraint):
    """Scales columns to length 1. Columns that already have length 1, up to rounding, do not change."""

    def __call__(self, w):
        length = ops.sqrt(ops.sum(ops.square(w), axis=0, keepdims=True))
        off = ops.abs(length - 1) > 1e-6
        return w / ops.where(ops.logical_and(off, length > 0), length, 1.0)


def unit_columns(shape, dtype=None):
    """Initializer that draws unit columns with random directions."""
    return ops.transpose(unit(keras.random.normal(shape[::-1], dtype=dtype or "float32")))


class Prototypes(keras.layers.Layer):
    """Computes the cosines between unit features and trainable prototypes.

    The layer maps features `(batch, width)` of length 1 to scores `(batch, count)` float32. After each optimizer step
    the prototypes are scaled to length 1 again. The published code does this before each forward pass.

    Args:
        count: Number of prototypes. The paper uses 3000 for ImageNet.
        width: Number of features.
        frozen_steps: Number of training steps, counted from the start, in which the prototypes get no gradient. The
            published code uses 313, which is one epoch with batches of 4096. The optimizer must not apply weight decay
            to the prototypes, otherwise they change during these steps too.

    Raises:
        UserError: If `count` or `width` is not positive, or `frozen_steps` is negative.

    References:
        Caron et al. 2020, arXiv 2006.09882, equation 2.
    """

    def __init__(self, count: int, width: int, *, frozen_steps: int = 0):
        super().__init__(dtype="float32")
        checks.positive({"count": count, "width": width})
        self.frozen_steps = frozen_steps
        self.kernel = self.add_weight(
            (width, count), initializer=unit_columns, constraint=UnitColumns(), name="prototypes"
        )
        self.frozen = Countdown(frozen_steps, argument="frozen_steps")
        self.built = True

    def call(self, features, training=False):
        kernel = ops.convert_to_tensor(self.kernel)
        if self.frozen_steps:
            frozen = self.frozen(features, training=training)
            kernel = ops.where(frozen, ops.stop_gradient(kernel), kernel)
        return ops.matmul(features, kernel)
