"""The last layer of a network that colors pictures: the luma of the input and the predicted chroma to RGB."""

import keras
from keras import ops

from kvision import checks, luma_chroma

__all__ = ["Recolor"]


@keras.saving.register_keras_serializable(package="kvision")
class Recolor(keras.layers.Layer):
    """Joins a luma and a chroma to a picture in RGB.

    The layer is called with a luma `(batch, height, width, 1)` in [0, 255] and a chroma `(batch, height, width, 2)`
    scaled to [-1, 1]. It returns RGB `(batch, height, width, 3)` in [0, 255], float32. The luma is used unchanged. Only
    colors that RGB does not have are clipped, and they get a different luma.

    Args:
        standard: `"bt601"`, `"bt709"` or `"bt2020"`; see `kv.ops.color_spaces`.
        clip: Whether to clip the result to [0, 255].
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`.

    Raises:
        UserError: If the standard is unknown.

    Example:
        >>> luma, chroma = np.full((1, 1, 1, 1), 90.0), np.array([0.0, 0.5]).reshape(1, 1, 1, 2)
        >>> kv.layers.Recolor()(luma, chroma).numpy().round().tolist()
        [[[[179.0, 44.0, 90.0]]]]
    """

    def __init__(self, standard: str = "bt601", *, clip: bool = True, name: str = "colored", **kwargs):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        self.standard, self.clip = checks.one_of("standard", standard, luma_chroma.COEFFICIENTS), clip
        self.built = True

    def call(self, luma, chroma):
        image = luma_chroma.rgb(luma, chroma * 127.5, self.standard)
        return ops.clip(image, 0.0, 255.0) if self.clip else image

    def compute_output_shape(self, luma_shape, chroma_shape):
        return (*luma_shape[:-1], 3)

    def get_config(self):
        return {**super().get_config(), "standard": self.standard, "clip": self.clip}
