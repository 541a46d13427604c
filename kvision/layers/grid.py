"""Proposals on a grid inside a model."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

__all__ = ["Grid"]


@keras.saving.register_keras_serializable(package="kvision")
class Grid(keras.layers.Layer):
    """Gives every image the same proposals, with sizes that are shares of the image.

    The layer maps images `(batch, height, width, channels)` to boxes `(batch, n, 4)`, or rotated boxes `(batch, n, 5)`,
    in pixels.

    Args:
        shares: Boxes `(n, 4)` with values as shares of height and width. Or rotated boxes `(n, 5)`: the center as
            shares of height and width, the sides as shares of the square root of the area, and the angle.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.
    """

    def __init__(self, shares: Sequence[Sequence[float]], **kwargs):
        super().__init__(**kwargs)
        self.shares = np.asarray(shares, "float32")
        self.built = True

    def call(self, images):
        height, width = (ops.cast(ops.shape(images)[axis], "float32") for axis in (1, 2))
        mean = ops.sqrt(height * width)
        factors = [height, width, height, width] if self.shares.shape[1] == 4 else [height, width, mean, mean, 1.0]
        boxes = ops.convert_to_tensor(self.shares) * ops.stack(factors)
        return ops.broadcast_to(boxes[None], (ops.shape(images)[0], *self.shares.shape))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.shares.shape)

    def compute_output_spec(self, images):
        return keras.KerasTensor(self.compute_output_shape(images.shape), "float32")

    def get_config(self):
        return {**super().get_config(), "shares": self.shares.tolist()}
