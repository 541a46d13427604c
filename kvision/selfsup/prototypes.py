"""Cluster centers that train with the network."""

import keras
from keras import ops

from kvision import checks
from kvision.ops import unit
from kvision.selfsup.countdown import Countdown

__all__ = ["Prototypes", "UnitColumns"]


class UnitColumns(keras.constraints.Constraint):
    """Columns of length 1. Those that are, up to rounding, stay as they are, bit for bit."""

    def __call__(self, w):
        length = ops.sqrt(ops.sum(ops.square(w), axis=0, keepdims=True))
        off = ops.abs(length - 1) > 1e-6
        return w / ops.where(ops.logical_and(off, length > 0), length, 1.0)


def unit_columns(shape, dtype=None):
    """Initializer: random directions."""
    return ops.transpose(unit(keras.random.normal(shape[::-1], dtype=dtype or "float32")))


class Prototypes(keras.layers.Layer):
    """Scores of unit features against `count` trainable unit vectors (Caron et al. 2020, arXiv 2006.09882, eq. 2).

    (B, width) -> (B, count) float32 cosines. After each step of an optimizer the vectors have length 1 again, as the
    published code does before each forward. frozen_steps: in the first so many training calls no gradient reaches them
    (313 there: one epoch at a batch of 4096), so that with no weight decay they stay as they began.
    """

    def __init__(self, count: int, width: int, *, frozen_steps: int = 0, name: str | None = None):
        super().__init__(name=name, dtype="float32")
        for name, value in {"count": count, "width": width}.items():
            if value < 1:
                raise checks.error(name, expected="a count of at least 1", received=value)
        self.count, self.width, self.frozen_steps = count, width, frozen_steps
        self.kernel = self.add_weight(
            (width, count), initializer=unit_columns, constraint=UnitColumns(), name="prototypes"
        )
        self.frozen = Countdown(frozen_steps)
        self.built = True

    def call(self, features, training=False):
        kernel = ops.convert_to_tensor(self.kernel)
        if self.frozen_steps:
            frozen = self.frozen(features, training=training)
            kernel = ops.where(frozen, ops.stop_gradient(kernel), kernel)
        return ops.matmul(features, kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.count)
