"""Fixed sine and cosine position codes for images of any size."""

import keras
from keras import ops

from kvision import checks

__all__ = ["SinCosPositions"]


@keras.saving.register_keras_serializable(package="kvision")
class SinCosPositions(keras.layers.Layer):
    """Adds a fixed position code to tokens `(batch, h, w, width)`.

    The code of row y and column x is [sin(x f), cos(x f), sin(y f), cos(y f)], where f stands for n = width / 4
    frequencies. The first frequency is 1, and each next frequency is smaller by the same ratio. The layer has no
    weights.

    Args:
        endpoint: If True, the last frequency is 1 / 10000: f_i = 10000^(-i / (n - 1)), as in big_vision. If False,
            f_i = 10000^(-i / n), as in MAE.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: When called, if the width is not a multiple of 4, or is below 8.

    Example:
        >>> tokens = np.zeros((1, 14, 14, 192))
        >>> tuple(kv.layers.SinCosPositions()(tokens).shape)
        (1, 14, 14, 192)

    References:
        Beyer, Zhai and Kolesnikov 2022, arXiv 2205.01580, section 3. He et al. 2021, arXiv 2111.06377, published code.
    """

    def __init__(self, *, endpoint: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.endpoint = endpoint

    def call(self, tokens):
        height, width, channels = ops.shape(tokens)[1:]
        if channels % 4 or channels < 8:
            expected = "tokens of a width that is a multiple of 4, at least 8"
            raise checks.UserError("tokens", expected=expected, received=tuple(tokens.shape))
        count = channels // 4
        frequencies = ops.exp(-ops.log(10000.0) * ops.arange(count, dtype="float32") / (count - self.endpoint))
        rows, columns = (ops.outer(ops.arange(n, dtype="float32"), frequencies) for n in (height, width))
        rows = ops.concatenate([ops.sin(rows), ops.cos(rows)], axis=-1)[:, None]
        columns = ops.concatenate([ops.sin(columns), ops.cos(columns)], axis=-1)[None]
        grid = (height, width, 2 * count)
        code = ops.concatenate([ops.broadcast_to(columns, grid), ops.broadcast_to(rows, grid)], axis=-1)
        return tokens + ops.cast(code, tokens.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "endpoint": self.endpoint}
