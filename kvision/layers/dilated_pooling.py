"""Max and average pooling with dilation. Keras has no such layers."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks

__all__ = ["DilatedPooling"]

_NONE = ((0, 0), (0, 0))


@keras.saving.register_keras_serializable(package="kvision")
class DilatedPooling(keras.layers.Layer):
    """Pools maps `(batch, height, width, channels)` at stride 1 over windows with gaps between their pixels.

    Keras' pooling layers have no dilation. `kv.segmentation` uses this layer where it replaces a stride by a dilation.

    Args:
        kind: `"max"` or `"average"`.
        pool_size: Number of pixels of the window, as one integer or `(height, width)`.
        dilation: Distance in pixels between two neighbors of the window, as one integer or `(rows, columns)`. At the
            default of 1 the window has no gaps.
        padding: `"valid"` uses no padding and returns smaller maps. `"same"` returns maps of the input's size. A window
            of even size then extends one pixel more to the bottom and right. `((top, bottom), (left, right))` pads
            these numbers of pixels. Padded pixels do not count in the result. If a window contains only padding, the
            result is 0.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If the kind or the padding is unknown, or a size is below 1.

    Example:
        >>> layer = kv.layers.DilatedPooling("max", 3, dilation=2, padding="same")
        >>> layer(keras.Input((32, 32, 8))).shape
        (None, 32, 32, 8)
    """

    def __init__(
        self,
        kind: str,
        pool_size: int | tuple[int, int],
        *,
        dilation: int | tuple[int, int] = 1,
        padding: str | Sequence[Sequence[int]] = "valid",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kind = checks.one_of("kind", kind, ("max", "average"))
        self.pool_size, self.dilation = _pair("pool_size", pool_size), _pair("dilation", dilation)
        both = tuple(zip(self.pool_size, self.dilation, strict=True))
        self._reach = tuple((size - 1) * apart for size, apart in both)
        if isinstance(padding, str):
            self.padding = checks.one_of("padding", padding, ("valid", "same"))
            starts = [(size - 1) // 2 * apart for size, apart in both]
            same = tuple((start, r - start) for start, r in zip(starts, self._reach, strict=True))
            self._pads = same if padding == "same" else _NONE
        else:
            self.padding = self._pads = tuple((int(before), int(after)) for before, after in padding)
        self.built = True

    def call(self, features):
        features = ops.cast(features, self.compute_dtype)
        found = self._over_neighbors(features, float("-inf") if self.kind == "max" else 0.0)
        if self.kind == "max":
            return ops.where(found == float("-inf"), 0.0, found) if self._pads != _NONE else found
        if self._pads == _NONE:
            return found / (self.pool_size[0] * self.pool_size[1])
        return found / ops.maximum(self._over_neighbors(ops.ones_like(features[..., :1]), 0.0), 1)

    def _over_neighbors(self, x, outside: float):
        join = ops.maximum if self.kind == "max" else ops.add
        if self._pads != _NONE:
            x = ops.pad(x, [[0, 0], *map(list, self._pads), [0, 0]], constant_values=outside)
        rows, columns = (
            [slice(i * apart, i * apart - r or None) for i in range(size)]
            for size, apart, r in zip(self.pool_size, self.dilation, self._reach, strict=True)
        )
        down = x[:, rows[0]]
        for row in rows[1:]:
            down = join(down, x[:, row])
        found = down[:, :, columns[0]]
        for column in columns[1:]:
            found = join(found, down[:, :, column])
        return found

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        lost = [r - sum(pads) for r, pads in zip(self._reach, self._pads, strict=True)]
        return (batch, *(None if s is None else s - less for s, less in zip(sides, lost, strict=True)), channels)

    def get_config(self):
        own = {"kind": self.kind, "pool_size": self.pool_size, "dilation": self.dilation, "padding": self.padding}
        return {**super().get_config(), **own}


def _pair(argument: str, value) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or any(not isinstance(side, int) or side < 1 for side in pair):
        raise checks.UserError(argument, expected="an integer of at least 1, or two of them", received=value)
    return pair
