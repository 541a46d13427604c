"""Feature columns moved and scaled, each by its own numbers."""

import keras
import numpy as np

__all__ = ["ColumnScaling"]


@keras.saving.register_keras_serializable(package="kvision")
class ColumnScaling(keras.layers.Layer):
    """`(features - center) * factor + offset`, column by column, in float32.

    The subtraction is a step of its own: where a column is far from 0, folding it into the bias of a Dense layer would
    subtract two large products, and float32 keeps no digits of the difference. The state is not trained; `of` sets it.

    Args:
        width: Number of columns.
        clip: If given, the lowest and the highest value of the result.
    """

    def __init__(
        self,
        *,
        width: int,
        clip: tuple[float, float] | None = None,
        name: str | None = None,
        dtype="float32",
        trainable: bool = False,
    ):
        super().__init__(name=name, dtype="float32", trainable=False)
        self.width = width
        self.clip = None if clip is None else (float(clip[0]), float(clip[1]))
        self.center = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="center")
        self.factor = self.add_weight(shape=(width,), initializer="ones", trainable=False, name="factor")
        self.offset = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="offset")
        self.built = True

    @classmethod
    def of(cls, width: int, *, center=0.0, factor=1.0, offset=0.0, clip=None) -> "ColumnScaling":
        """Creates the layer from numbers in float64, one for each column or one for all.

        What `center` loses when it becomes float32 is added to the offset, so that the difference stays right.
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
