"""Which bitmaps are decoded, and their palettes, alike in bytes and in a TensorFlow graph.

Windows bitmaps (BITMAPINFOHEADER and later). TensorFlow's reader looks at size and bits alone: it takes compressed
data, color masks and palette indices for colors. So the kinds that it gets right are named here, the others refused.
"""

import struct
from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "has_alpha_in_graph",
    "is_decoded",
    "is_decoded_in_graph",
    "palette_in_graph",
    "sides_in_graph",
    "without_rest_in_graph",
]

# BI_BITFIELDS: red, green, blue where they are without masks; behind them, in long headers, none or the fourth byte
_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
_ALPHA, _NO_ALPHA = b"\0\0\0\xff", b"\0\0\0\0"
_HEADS = (40, 56, 108, 124)  # versions 1, 3, 4 and 5 of the header


def is_decoded(data: bytes) -> bool:
    """24 or 32 bits a pixel, or 8 with a palette; not compressed."""
    if len(data) < 54:
        return False
    offset, head = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    (bits, compression), (colors,) = struct.unpack_from("<HI", data, 28), struct.unpack_from("<I", data, 46)
    plain = compression == 0 and (bits in (24, 32) or (bits == 8 and colors <= 256))
    masks = data[54:66] == _MASKS and (head == 40 or data[66:70] in (_ALPHA, _NO_ALPHA))
    laid_out = head in _HEADS and 14 + head <= offset <= len(data)
    return laid_out and (plain or (bits == 32 and compression == 3 and masks))


def is_decoded_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """As `is_decoded`: string scalar -> bool scalar."""
    import tensorflow as tf

    def known():
        places = ((10, 4), (14, 4), (28, 2), (30, 4), (46, 4))
        offset, head, bits, compression, colors = (gb.number(data, at, count) for at, count in places)
        plain = (compression == 0) & ((bits == 24) | (bits == 32) | ((bits == 8) & (colors <= 256)))
        fourth = gb.part(data, tf.minimum(66, tf.strings.length(data)), 4)
        masks = gb.starts(data, _MASKS, 54) & ((head == 40) | (fourth == _ALPHA) | (fourth == _NO_ALPHA))
        laid_out = tf.reduce_any(head == _HEADS) & (14 + head <= offset) & (offset <= gb.size(data))
        return laid_out & (plain | ((bits == 32) & (compression == 3) & masks))

    return tf.cond(gb.size(data) >= 54, known, lambda: False)


def has_alpha_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """Whether the fourth byte of a decoded kind is alpha: bool scalar."""
    longer = (gb.number(data, 14, 4) >= 56) & (gb.number(data, 30, 4) == 3)
    return longer & (gb.number(data, 66, 4) > 0)


def palette_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """(256, 3) uint8 RGB of a bitmap of 8 bits a pixel; colors that it does not define are black."""
    import tensorflow as tf

    count = gb.number(data, 46, 4)
    entries = gb.part(data, 14 + gb.number(data, 14, 4), 4 * tf.where(count > 0, count, 256))
    found = tf.reshape(tf.io.decode_raw(entries, tf.uint8), (-1, 4))[:, 2::-1]
    return tf.pad(found, [[0, 256 - tf.shape(found)[0]], [0, 0]])


def sides_in_graph(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
    """Height, width, int64; a negative height says that the top row comes first."""
    import tensorflow as tf

    width, height = tf.unstack(tf.ensure_shape(tf.io.decode_raw(gb.part(data, 18, 8), tf.int32), (2,)))
    return tf.cast(height, tf.int64), tf.cast(width, tf.int64)


def without_rest_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """The bytes up to the last pixel: TensorFlow's reader refuses what many programs write behind it."""
    import tensorflow as tf

    height, width = sides_in_graph(data)
    row = (gb.number(data, 28, 2) * tf.maximum(width, 0) + 31) // 32 * 4
    return gb.part(data, 0, gb.number(data, 10, 4) + row * tf.abs(height))
