"""Fixed sine and cosine codes of the positions of patches, for images of any size."""

import keras
from keras import ops

from kvision import checks

__all__ = ["SinCosPositions"]


@keras.saving.register_keras_serializable(package="kvision")
class SinCosPositions(keras.layers.Layer):
    """Adds a fixed position code to tokens `(batch, h, w, width)`.

    The code of row y and column x is [sin(x f), cos(x f), sin(y f), cos(y f)], with n = width / 4 frequencies f each.
    They fall from 1 in equal ratios. The layer has no weights.

    Args:
        endpoint: If True, the last frequency is 1 / 10000: f_i = 10000^(-i / (n - 1)), as in big_vision. If False,
            f_i = 10000^(-i / n), as in MAE.
        name: Name of the layer.
        dtype: Data type of the layer.
        trainable: Of no effect, since the layer has no weights.

    Raises:
        kvision.UserError: If the width is no multiple of 4, or below 8.

    References:
        Beyer, Zhai and Kolesnikov 2022, arXiv 2205.01580, section 3. He et al. 2021, arXiv 2111.06377, published code.
    """

    def __init__(self, *, endpoint: bool = True, name: str | None = None, dtype=None, trainable: bool = True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.endpoint = endpoint

    def build(self, input_shape):
        width = input_shape[-1]
        if width % 4 or width < 8:
            raise checks.error("width", expected="a multiple of 4, at least 8", received=width)

    def call(self, x):
        height, width, channels = ops.shape(x)[1:]
        count = channels // 4
        frequencies = ops.exp(-ops.log(10000.0) * ops.arange(count, dtype="float32") / (count - self.endpoint))
        rows, columns = (ops.outer(ops.arange(n, dtype="float32"), frequencies) for n in (height, width))
        rows = ops.concatenate([ops.sin(rows), ops.cos(rows)], axis=-1)[:, None]
        columns = ops.concatenate([ops.sin(columns), ops.cos(columns)], axis=-1)[None]
        grid = (height, width, 2 * count)
        code = ops.concatenate([ops.broadcast_to(columns, grid), ops.broadcast_to(rows, grid)], axis=-1)
        return x + ops.cast(code, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "endpoint": self.endpoint}
