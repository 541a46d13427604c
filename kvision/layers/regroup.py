"""Divides rows into groups again, after a layer that knows no groups."""

import keras
from keras import ops

__all__ = ["Regroup"]


@keras.saving.register_keras_serializable(package="kvision")
class Regroup(keras.layers.Layer):
    """Reshapes rows `(batch * n, ...)` to `(batch, n, ...)`, as many as a reference `(batch, n, ...)` has.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, rows, reference):
        return ops.reshape(rows, (*ops.shape(reference)[:2], *rows.shape[1:]))

    def compute_output_shape(self, rows_shape, reference_shape):
        return (*reference_shape[:2], *rows_shape[1:])

    def compute_output_spec(self, rows, reference):
        return keras.KerasTensor(self.compute_output_shape(rows.shape, reference.shape), rows.dtype)
