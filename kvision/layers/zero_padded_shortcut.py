"""A residual block's shortcut to a smaller and wider stage, without parameters."""

import keras
from keras import ops

from kvision import checks

__all__ = ["ZeroPaddedShortcut"]


@keras.saving.register_keras_serializable(package="kvision")
class ZeroPaddedShortcut(keras.layers.Layer):
    """Every `stride`-th pixel, then zero channels up to `channels` (He et al. 2016, arXiv 1512.03385, 3.3, option A).

    Features (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), channels). The zeros come after the C channels, as
    in the authors' Torch code; the paper leaves their place open. Raises UserError for fewer channels than C.
    """

    def __init__(self, channels: int, *, stride: int = 1, name: str | None = None, dtype=None, trainable: bool = True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        if not isinstance(stride, int) or stride < 1:
            raise checks.error("stride", expected="a count of pixels, at least 1", received=stride)
        self.channels, self.stride = channels, stride

    def build(self, input_shape):
        if input_shape[-1] > self.channels:
            raise checks.error("channels", expected=f"at least the input's {input_shape[-1]}", received=self.channels)

    def call(self, features):
        x = features[:, :: self.stride, :: self.stride, :]
        return ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, self.channels - x.shape[-1]]])

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return (batch, *(None if side is None else -(-side // self.stride) for side in sides), self.channels)

    def get_config(self):
        return {
            "channels": self.channels,
            "stride": self.stride,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }
