"""Shifts and scales the columns of features."""

import keras
import numpy as np

__all__ = ["ColumnScaling"]


@keras.saving.register_keras_serializable(package="kvision")
class ColumnScaling(keras.layers.Layer):
    """Computes `(features - center) * factor + offset` for each column, in float32.

    `ColumnScaling.of` sets the values of `center`, `factor` and `offset`. They do not train. The subtraction is a
    separate step, and is not merged into the bias of the next Dense layer. For a column far from 0, such a bias would
    be the difference of two large products, which float32 cannot represent.

    Args:
        width: Number of columns.
        clip: Lowest and highest value of the result. `None` does not limit the result.
        name: Name of the layer.

    Example:
        >>> layer = kv.layers.ColumnScaling.of(2, center=[1.0, 2.0], factor=0.5)
        >>> np.asarray(layer(np.array([[3.0, 2.0]]))).tolist()
        [[1.0, 0.0]]
    """

    def __init__(self, *, width: int, clip: tuple[float, float] | None = None, name: str | None = None):
        super().__init__(name=name, dtype="float32", trainable=False)
        self.width = width
        self.clip = None if clip is None else (float(clip[0]), float(clip[1]))
        self.center = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="center")
        self.factor = self.add_weight(shape=(width,), initializer="ones", trainable=False, name="factor")
        self.offset = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="offset")
        self.built = True

    @classmethod
    def of(cls, width: int, *, center=0.0, factor=1.0, offset=0.0, clip=None) -> "ColumnScaling":
        """Creates the layer with the given center, factor and offset.

        The numbers are read in float64. The rounding error of `center` in float32 is added to `offset`, so that the
        result stays exact.

        Args:
            width: Number of columns.
            center: Number that is subtracted: one number per column, or one for all columns.
            factor: Number that the difference is multiplied by: one number per column, or one for all columns.
            offset: Number that is added in the end: one number per column, or one for all columns.
            clip: Lowest and highest value of the result. `None` does not limit the result.

        Returns:
            The layer.
        """
        center, factor, offset = (np.broadcast_to(np.asarray(v, "float64"), width) for v in (center, factor, offset))
        layer = cls(width=width, clip=clip)
        near = center.astype("float32")
        layer.set_weights([near, factor.astype("float32"), (offset + (near - center) * factor).astype("float32")])
        return layer

    def call(self, features):
        scaled = (features - self.center) * self.factor + self.offset
        return scaled if self.clip is None else keras.ops.clip(scaled, *self.clip)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {"width": self.width, "clip": self.clip, "name": self.name}
