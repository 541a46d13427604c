"""The shortcut without parameters from one stage of a residual network to the next."""

import keras
from keras import ops

from kvision import checks

__all__ = ["ZeroPaddedShortcut"]


@keras.saving.register_keras_serializable(package="kvision")
class ZeroPaddedShortcut(keras.layers.Layer):
    """Takes every `stride`-th pixel and appends channels of zeros: option A of residual networks.

    The layer maps `(batch, height, width, c)` to `(batch, h, w, channels)` with `h = ceil(height / stride)` and
    `w = ceil(width / stride)`. The zeros come after the c channels, as in the authors' Torch code. The paper does not
    state where they are.

    Args:
        channels: Number of output channels, at least the number of input channels.
        stride: Distance in pixels between two neighboring pixels that are taken, at least 1.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If `stride` is below 1. When called, if the input has more than `channels` channels.

    Example:
        >>> layer = kv.layers.ZeroPaddedShortcut(32, stride=2)
        >>> layer(keras.Input((33, 32, 16))).shape
        (None, 17, 16, 32)

    References:
        He et al. 2016, arXiv 1512.03385, section 3.3, option A.
    """

    def __init__(self, channels: int, *, stride: int = 1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(stride, int) or stride < 1:
            raise checks.UserError("stride", expected="a count of pixels, at least 1", received=stride)
        self.channels, self.stride = channels, stride

    def build(self, input_shape):
        if input_shape[-1] > self.channels:
            expected = f"at least {input_shape[-1]}, the channels of the input"
            raise checks.UserError("channels", expected=expected, received=self.channels)

    def call(self, features):
        x = features[:, :: self.stride, :: self.stride, :]
        return ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, self.channels - x.shape[-1]]])

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return (batch, *(None if side is None else -(-side // self.stride) for side in sides), self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "stride": self.stride}
