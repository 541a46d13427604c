"""A counter of training steps that is saved with the model."""

import keras
from keras import ops

from kvision import checks

__all__ = ["Countdown"]


class Countdown(keras.layers.Layer):
    """Returns whether a training is still in its first steps.

    `countdown(x, training=training)` returns a boolean scalar. It is True if there were fewer than `steps` training
    calls before this call. The value of `x` does not matter. The count is a weight, so a resumed training continues the
    count.
    """

    def __init__(self, steps: int, *, argument: str = "steps"):
        super().__init__(dtype="float32")
        if steps < 0:
            raise checks.UserError(argument, expected="a number of steps of at least 0", received=steps)
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
