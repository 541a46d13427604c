"""The first layer of a network that colors pictures: color, gray or sepia to one plane of gray."""

import keras

from kvision import checks, luma_chroma
from kvision.sepia import gray

__all__ = ["Gray"]


@keras.saving.register_keras_serializable(package="kvision")
class Gray(keras.layers.Layer):
    """Reduces pictures to gray, so that a network gets the same input for a gray and a color picture.

    The layer maps `(batch, height, width, 3)` in [0, 255] to float32 `(batch, height, width, 1)`. It returns the luma.
    If R, G and B of a pixel are equal, the luma is exactly this value. Pictures with the usual sepia tone are
    recognized, and the tone is taken off; see `kvision.sepia`.

    Args:
        standard: `"bt601"`, `"bt709"` or `"bt2020"`; see `kv.ops.color_spaces`.
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`.

    Raises:
        UserError: If the standard is unknown.

    Example:
        >>> red = np.array([255, 0, 0], "uint8").reshape(1, 1, 1, 3)
        >>> float(kv.layers.Gray()(red)[0, 0, 0, 0])
        76.24...
    """

    takes_raw_pixels = True  # read by `kvision.training.raw_images`

    def __init__(self, standard: str = "bt601", *, name: str = "gray", **kwargs):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        self.standard = checks.one_of("standard", standard, luma_chroma.COEFFICIENTS)
        self.built = True

    def call(self, images):
        return gray(images, self.standard)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)

    def get_config(self):
        return {**super().get_config(), "standard": self.standard}
