"""Which way up an image is shown: EXIF orientation, read alike in bytes and in a TensorFlow graph.

EXIF 2.3 (CIPA DC-008), section 4.6: tag 0x0112 of the first directory. The standard wants a SHORT; cameras and programs
write other integers too. Both halves read the same bytes by the same rules, so that damaged data cannot turn an image
in one of them only.
"""

from typing import TYPE_CHECKING

import numpy as np

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["read", "read_in_graph", "turn", "turn_in_graph"]

_INTEGERS = {1: (1, 6), 2: (3, 8), 4: (4, 9)}  # bytes, and TIFF's types of integers that take so many
_BYTES = {kind: size for size, kinds in _INTEGERS.items() for kind in kinds}
# orientation -> swap rows and columns, then turn rows round, then columns
_TURNS = ((0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))


def read(tiff: bytes) -> int:
    """Orientation 1 to 8 out of EXIF data; 1 (as stored) where there is none, or it is damaged."""
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
    """As `read`: string scalar -> int64 scalar."""
    import tensorflow as tf

    one = tf.constant(1, tf.int64)
    return tf.cond(gb.size(tiff) > 0, lambda: _directory_in_graph(tiff), lambda: one)


def _directory_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    length = gb.size(data)
    # zeros behind the end, as behind the end of a slice of bytes
    tiff = tf.cast(tf.concat([tf.io.decode_raw(data, tf.uint8), tf.zeros(16, tf.uint8)], 0), tf.int64)
    little = tf.reduce_all(tiff[:2] == list(b"II"))
    known = little | tf.reduce_all(tiff[:2] == list(b"MM"))

    def number(digits):  # (..., n) bytes
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
    """(H, W, 3) as stored -> as shown, (W, H, 3) for orientations 5 to 8."""
    swap, rows, columns = _TURNS[orientation]
    image = image.transpose(1, 0, 2) if swap else image
    return image[:: -1 if rows else 1, :: -1 if columns else 1]


def turn_in_graph(image: "tf.Tensor", orientation: "tf.Tensor") -> "tf.Tensor":
    """As `turn`, for tensors."""
    import tensorflow as tf

    swap, rows, columns = tf.unstack(tf.gather(tf.constant(_TURNS), orientation) == 1)
    image = tf.cond(swap, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(rows, lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(columns, lambda: tf.reverse(image, [1]), lambda: image)
