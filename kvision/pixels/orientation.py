"""Reads the EXIF orientation of an image, with the same result in Python and in a TensorFlow graph.

The orientation is tag 0x0112 of the first directory (EXIF 2.3, CIPA DC-008, section 4.6). The standard requires a
SHORT, but cameras and programs also write different integer types. Pillow's own reader is not used, because it also
reads XMP data, warns of damaged directories, and reads some of them differently. Then training could turn an image that
serving does not turn.
"""

from typing import TYPE_CHECKING

import numpy as np

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["read", "read_in_graph", "turn", "turn_in_graph"]

_INTEGERS = {1: (1, 6), 2: (3, 8), 4: (4, 9)}  # key: number of bytes; values: TIFF's integer types of this size
_BYTES = {kind: size for size, kinds in _INTEGERS.items() for kind in kinds}
# for each orientation, 1 or 0: swap rows and columns, then reverse the rows, then reverse the columns
_TURNS = ((0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))


def read(tiff: bytes) -> int:
    """Returns the orientation, 1 to 8, in EXIF data. It is 1 (as stored) if they are missing or damaged."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1
    start = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[start : start + 2], order)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        if int.from_bytes(tiff[entry : entry + 2], order) == 0x0112:
            size = _BYTES.get(int.from_bytes(tiff[entry + 2 : entry + 4], order), 0)
            value = int.from_bytes(tiff[entry + 8 : entry + 8 + size], order)
            return value if 1 <= value <= 8 else 1
    return 1


def read_in_graph(tiff: "tf.Tensor") -> "tf.Tensor":
    """Reads the orientation like `read`, from a string scalar, and returns an int64 scalar."""
    import tensorflow as tf

    one = tf.constant(1, tf.int64)
    return tf.cond(gb.size(tiff) > 0, lambda: _directory_in_graph(tiff), lambda: one)


def _directory_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    length = gb.size(data)
    # With zeros after the end, the numbers are the same as with slices of bytes in Python.
    tiff = tf.cast(tf.concat([tf.io.decode_raw(data, tf.uint8), tf.zeros(16, tf.uint8)], 0), tf.int64)
    little = tf.reduce_all(tiff[:2] == list(b"II"))
    known = little | tf.reduce_all(tiff[:2] == list(b"MM"))

    def number(digits):  # converts bytes (..., n)
        weights = tf.constant([256**i for i in range(digits.shape[-1])], tf.int64)
        return tf.reduce_sum(digits * tf.where(little, weights, weights[::-1]), axis=-1)

    start = tf.minimum(number(tf.ensure_shape(tiff[4:8], (4,))), length)
    count = number(tf.ensure_shape(tiff[start : start + 2], (2,)))
    whole = tf.maximum(tf.minimum(count, (length - start - 2) // 12), 0)
    entries = tf.reshape(tiff[start + 2 : start + 2 + 12 * whole], (-1, 12))
    types, values = number(entries[:, 2:4]), tf.zeros_like(entries[:, 0])
    for size, kinds in _INTEGERS.items():
        one_of = (types == kinds[0]) | (types == kinds[1])
        values = tf.where(one_of, number(entries[:, 8 : 8 + size]), values)
    value = tf.concat([tf.boolean_mask(values, number(entries[:, :2]) == 0x0112), [1]], 0)[0]
    return tf.where(known & (value >= 1) & (value <= 8), value, 1)


def turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a stored image (H, W, 3) upright. The result is (W, H, 3) for orientations 5 to 8."""
    swap, rows, columns = _TURNS[orientation]
    image = image.transpose(1, 0, 2) if swap else image
    return image[:: -1 if rows else 1, :: -1 if columns else 1]


def turn_in_graph(image: "tf.Tensor", orientation: "tf.Tensor") -> "tf.Tensor":
    """Turns an image like `turn`, for tensors."""
    import tensorflow as tf

    swap, rows, columns = tf.unstack(tf.gather(tf.constant(_TURNS), orientation) == 1)
    image = tf.cond(swap, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(rows, lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(columns, lambda: tf.reverse(image, [1]), lambda: image)
