"""Where a patch stands, as sines and cosines: nothing to learn, nothing bound to one image size."""

import keras
from keras import ops

from kvision import checks

__all__ = ["SinCosPositions"]


@keras.saving.register_keras_serializable(package="kvision")
class SinCosPositions(keras.layers.Layer):
    """Adds a fixed position code: x (B, h, w, D) -> the same shape; D a multiple of 4, at least 8.

    The code of row y and column x is [sin(x f), cos(x f), sin(y f), cos(y f)] of D / 4 frequencies f each, falling
    from 1 to 1 / 10000 in equal ratios (Beyer, Zhai & Kolesnikov 2022, arXiv 2205.01580, section 3; big_vision's
    `posemb_sincos_2d`). No weights: any h and w.
    Raises UserError for another D.
    """

    def build(self, input_shape):
        width = input_shape[-1]
        if width % 4 or width < 8:
            raise checks.error("width", expected="a multiple of 4, at least 8", received=width)

    def call(self, x):
        height, width, channels = ops.shape(x)[1:]
        count = channels // 4
        frequencies = ops.exp(-ops.log(10000.0) * ops.arange(count, dtype="float32") / (count - 1))
        rows, columns = (ops.outer(ops.arange(n, dtype="float32"), frequencies) for n in (height, width))
        rows = ops.concatenate([ops.sin(rows), ops.cos(rows)], axis=-1)[:, None]
        columns = ops.concatenate([ops.sin(columns), ops.cos(columns)], axis=-1)[None]
        grid = (height, width, 2 * count)
        code = ops.concatenate([ops.broadcast_to(columns, grid), ops.broadcast_to(rows, grid)], axis=-1)
        return x + ops.cast(code, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
