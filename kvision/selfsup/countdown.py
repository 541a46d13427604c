"""Counts the steps of a training down."""

import keras
from keras import ops

from kvision import checks

__all__ = ["Countdown"]


class Countdown(keras.layers.Layer):
    """`countdown(x, training=training)` -> a boolean scalar, whether fewer than `steps` training calls came before; x,
    anything of the step, is not looked at. The count is a weight, so that a resumed training goes on with it."""

    def __init__(self, steps: int):
        super().__init__(dtype="float32")
        if steps < 0:
            raise checks.error("steps", expected="a count of at least 0", received=steps)
        self.left = self.add_weight(
            (),
            initializer=keras.initializers.Constant(steps),
            dtype="int",
            trainable=False,
            aggregation="only_first_replica",
            name="left",
        )
        self.built = True

    def call(self, x, training=False):
        left = ops.copy(self.left)
        if training:
            self.left.assign(ops.maximum(left - 1, 0))
        return left > 0
