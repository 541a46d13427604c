"""Pixel values as a family of networks was trained on them."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks

__all__ = ["MODES", "Preprocess"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's training images, RGB in [0, 1]

# mode: (scale, offset, RGB -> BGR first); y = x * scale + offset
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
    """Maps RGB in [0, 255] to a network's own range: images (B, H, W, 3), float32 or uint8 -> the same shape, float.

    mode: "tf" (x / 127.5 - 1), "torch" ((x / 255 - mean) / std), "caffe" (BGR minus the mean pixel, unscaled), all
    three as `keras.applications.imagenet_utils.preprocess_input`; "tf128" (x / 128 - 1), as EfficientNetV2-S, M and L;
    "lite" ((x - 127) / 128), as EfficientNet-Lite; "unit" (x / 255), as keras-cv.

    Other channels: one (gray) is repeated, (B, H, W, 1) -> (B, H, W, 3), which is exact in every mode: a kernel summed
    over RGB is not where the means of the colors differ, since its zero padding stands for other levels. Two get the
    statistics of the network's first two, in their order. Of more, three are RGB and the rest get the mean statistics.
    """

    takes_raw_pixels = True  # see `kvision.training.raw_images`

    def __init__(self, mode: str, *, name: str = "preprocess", dtype=None, trainable: bool = True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.mode = checks.one_of("mode", mode, MODES)

    def call(self, images):
        scale, offset, reverse = MODES[self.mode]
        x = ops.cast(images, self.compute_dtype)
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
        return {
            "mode": self.mode,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }


def _each(values: float | Sequence[float], channels: int) -> float | list[float]:
    """Three statistics for any number of channels: the first of them, or their mean for those beyond."""
    if isinstance(values, int | float):
        return values
    return [*values, *[sum(values) / 3] * (channels - 3)][:channels]
