"""Checks in a TensorFlow graph whether TensorFlow decodes a bitmap correctly, and reads its palette.

The module is for Windows bitmaps (BITMAPINFOHEADER and later). TensorFlow's reader checks only the size and the bits
per pixel. It reads compressed data, unusual color masks and palette indices as if they were colors. This module accepts
only the kinds of bitmaps that TensorFlow decodes correctly.
"""

import struct
from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["HEADS", "has_alpha", "is_decoded", "palette", "sides", "without_rest"]

HEADS = (40, 56, 108, 124)  # sizes in bytes of the header, for versions 1, 3, 4 and 5
# BI_BITFIELDS masks with red, green and blue in the same bytes as without masks. Long headers add an alpha mask: no
# alpha, or byte 4.
_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
_ALPHA, _NO_ALPHA = b"\0\0\0\xff", b"\0\0\0\0"


def is_decoded(data: "tf.Tensor") -> "tf.Tensor":
    """Returns whether an uncompressed bitmap has 24 or 32 bits per pixel, or 8 with a palette: bool scalar."""
    import tensorflow as tf

    def known():
        places = ((10, 4), (14, 4), (28, 2), (30, 4), (46, 4))
        offset, head, bits, compression, colors = (gb.number(data, at, count) for at, count in places)
        plain = (compression == 0) & ((bits == 24) | (bits == 32) | ((bits == 8) & (colors <= 256)))
        fourth = gb.part(data, tf.minimum(66, tf.strings.length(data)), 4)
        masks = gb.starts(data, _MASKS, 54) & ((head == 40) | (fourth == _ALPHA) | (fourth == _NO_ALPHA))
        laid_out = tf.reduce_any(head == HEADS) & (14 + head <= offset) & (offset <= gb.size(data))
        return laid_out & (plain | ((bits == 32) & (compression == 3) & masks))

    return tf.cond(gb.size(data) >= 54, known, lambda: False)


def has_alpha(data: "tf.Tensor") -> "tf.Tensor":
    """Returns whether the fourth byte of each pixel is alpha, for an accepted bitmap: bool scalar."""
    longer = (gb.number(data, 14, 4) >= 56) & (gb.number(data, 30, 4) == 3)
    return longer & (gb.number(data, 66, 4) > 0)


def palette(data: "tf.Tensor") -> "tf.Tensor":
    """Returns the RGB colors (256, 3) uint8 of a bitmap with 8 bits per pixel. Undefined colors are black."""
    import tensorflow as tf

    count = gb.number(data, 46, 4)
    entries = gb.part(data, 14 + gb.number(data, 14, 4), 4 * tf.where(count > 0, count, 256))
    found = tf.reshape(tf.io.decode_raw(entries, tf.uint8), (-1, 4))[:, 2::-1]
    return tf.pad(found, [[0, 256 - tf.shape(found)[0]], [0, 0]])


def sides(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns height and width, int64. The height is negative if the top row comes first."""
    import tensorflow as tf

    width, height = tf.unstack(tf.ensure_shape(tf.io.decode_raw(gb.part(data, 18, 8), tf.int32), (2,)))
    return tf.cast(height, tf.int64), tf.cast(width, tf.int64)


def without_rest(data: "tf.Tensor") -> "tf.Tensor":
    """Returns the bytes up to the last pixel. Many programs add bytes that TensorFlow's reader refuses."""
    import tensorflow as tf

    height, width = sides(data)
    row = (gb.number(data, 28, 2) * tf.maximum(width, 0) + 31) // 32 * 4
    return gb.part(data, 0, gb.number(data, 10, 4) + row * tf.abs(height))
