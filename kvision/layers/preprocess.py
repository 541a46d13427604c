"""Scales pixel values to the range that each family of networks expects."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks

__all__ = ["MODES", "Preprocess"]

# Mean and standard deviation of ImageNet's training images, RGB in [0, 1].
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Mode: (scale, offset, whether RGB is reversed to BGR first). The result is x * scale + offset.
MODES = {
    "tf": (1 / 127.5, -1.0, False),
    "tf128": (1 / 128, -1.0, False),
    "torch": ([1 / (255 * s) for s in _STD], [-m / s for m, s in zip(_MEAN, _STD, strict=True)], False),
    "caffe": (1.0, (-103.939, -116.779, -123.68), True),
    "lite": (1 / 128, -127 / 128, False),
    "unit": (1 / 255, 0.0, False),
}


@keras.saving.register_keras_serializable(package="kvision")
class Preprocess(keras.layers.Layer):
    """Scales RGB pixels in [0, 255] to the range that a network was trained with.

    The layer maps images `(batch, height, width, channels)`, float32 or uint8, to floats of the same shape. Grayscale
    images, `(batch, height, width, 1)`, are repeated to three channels. For two channels, the statistics of the
    network's first two channels are used. With more than three channels, the first three are RGB, and each further
    channel gets the average of the three statistics.

    Args:
        mode: Computation for a pixel value x. `"tf"`: x / 127.5 - 1. `"torch"`: (x / 255 - mean) / std. `"caffe"`: the
            mean color is subtracted from x, with the channels in the order BGR. These three are as in
            `keras.applications.imagenet_utils.preprocess_input`. `"tf128"`: x / 128 - 1, for EfficientNetV2-S, M and L.
            `"lite"`: (x - 127) / 128, for EfficientNet-Lite. `"unit"`: x / 255, for keras-cv.
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`: `dtype` and `trainable`.

    Raises:
        UserError: If the mode is unknown.

    Example:
        >>> images = np.array([0, 255], "uint8").reshape(1, 1, 2, 1)
        >>> np.asarray(kv.layers.Preprocess("tf")(images)).tolist()
        [[[[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]]]
    """

    takes_raw_pixels = True  # read by `kvision.training.raw_images`

    def __init__(self, mode: str, *, name: str = "preprocess", **kwargs):
        super().__init__(name=name, **kwargs)
        self.mode = checks.one_of("mode", mode, MODES)

    def call(self, images):
        scale, offset, reverse = MODES[self.mode]
        x = ops.cast(images, self.compute_dtype)
        # Summing the first kernel over RGB instead would be inexact, because zero padding would then mean a different
        # color.
        if x.shape[-1] == 1:
            x = ops.repeat(x, 3, axis=-1)
        channels = x.shape[-1]
        if reverse and channels == 3:
            x = ops.flip(x, axis=-1)
        elif reverse and channels > 3:
            x = ops.concatenate([ops.flip(x[..., :3], axis=-1), x[..., 3:]], axis=-1)
        return x * ops.cast(_each(scale, channels), x.dtype) + ops.cast(_each(offset, channels), x.dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3) if input_shape[-1] == 1 else input_shape

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


def _each(values: float | Sequence[float], channels: int) -> float | list[float]:
    """Returns statistics for any number of channels: the given ones first, and their mean for each further channel."""
    if isinstance(values, int | float):
        return values
    return [*values, *[sum(values) / 3] * (channels - 3)][:channels]
