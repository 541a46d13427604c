"""Which way up a JPEG is shown: EXIF orientation, found alike in bytes and in a TensorFlow graph.

EXIF 2.3 (CIPA DC-008), section 4.6: tag 0x0112 of the first directory in the APP1 segment "Exif". Both halves walk the
same bytes by the same rules, so that a damaged segment cannot turn an image in one of them only.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["in_bytes", "in_graph", "turn", "turn_in_graph"]

_WITHIN = 256 * 1024  # where the segments before the pixels are looked for; one has at most 64 kB
_EXIF = b"Exif\0\0"
# orientation -> swap rows and columns, then turn rows round, then columns
_TURNS = ((0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))


def in_bytes(data: bytes) -> int:
    """Orientation 1 to 8 of a JPEG's bytes; 1 (as stored) where there is none, or it is damaged."""
    data = data[:_WITHIN]
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xE1 and data[position + 4 : position + 10] == _EXIF:
            return _in_directory(data[position + 10 : position + 2 + length])
        if marker == 0xDA or (length < 2 and marker != 0xFF):
            return 1
        position += 1 if marker == 0xFF else 2 + length  # 0xFF may be filled up with more of it
    return 1


def _in_directory(tiff: bytes) -> int:
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1
    start = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[start : start + 2], order)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        if int.from_bytes(tiff[entry : entry + 2], order) == 0x0112:
            value = int.from_bytes(tiff[entry + 8 : entry + 10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """As `in_bytes`: a JPEG's bytes, a string scalar -> int64 scalar."""
    import tensorflow as tf

    found = tf.io.decode_raw(tf.strings.substr(data, 0, _WITHIN), tf.uint8)
    size = tf.size(found, tf.int64)
    padded = tf.concat([found, tf.zeros(16, tf.uint8)], 0)  # behind the end stand zeros

    def look(position):
        head = tf.cast(tf.ensure_shape(padded[position : position + 10], (10,)), tf.int64)
        prefix, marker, high, low = tf.unstack(head[:4])
        exif = (marker == 0xE1) & tf.reduce_all(head[4:] == list(_EXIF))
        return prefix == 0xFF, marker, 256 * high + low, exif

    def goes_on(position, is_segment, marker, length, exif):
        ended = (marker == 0xDA) | ((length < 2) & (marker != 0xFF)) | exif
        return (position + 4 <= size) & is_segment & ~ended

    def step(position, is_segment, marker, length, exif):
        position = tf.minimum(position + tf.where(marker == 0xFF, tf.constant(1, tf.int64), 2 + length), size)
        return position, *look(position)

    start = tf.constant(2, tf.int64)
    segment, is_segment, _, _, exif = tf.while_loop(goes_on, step, (start, *look(start)))
    here = (segment + 4 <= size) & is_segment & exif
    return tf.cond(here, lambda: _directory_in_graph(padded, size, segment), lambda: tf.constant(1, tf.int64))


def _directory_in_graph(padded: "tf.Tensor", size: "tf.Tensor", segment: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    begin = segment + 10
    high, low = tf.unstack(tf.cast(tf.ensure_shape(padded[segment + 2 : segment + 4], (2,)), tf.int64))
    end = tf.maximum(tf.minimum(segment + 2 + 256 * high + low, size), begin)
    # zeros behind the end of the segment, as behind the end of a slice of bytes
    tiff = tf.cast(tf.concat([padded[begin:end], tf.zeros(16, tf.uint8)], 0), tf.int64)
    length = end - begin
    little = tf.reduce_all(tiff[:2] == list(b"II"))
    known = little | tf.reduce_all(tiff[:2] == list(b"MM"))

    def number(digits):  # (..., n) bytes
        weights = tf.constant([256**i for i in range(digits.shape[-1])], tf.int64)
        return tf.reduce_sum(digits * tf.where(little, weights, weights[::-1]), axis=-1)

    start = tf.minimum(number(tf.ensure_shape(tiff[4:8], (4,))), length)
    count = number(tf.ensure_shape(tiff[start : start + 2], (2,)))
    whole = tf.maximum(tf.minimum(count, (length - start - 2) // 12), 0)
    entries = tf.reshape(tiff[start + 2 : start + 2 + 12 * whole], (-1, 12))
    values = tf.boolean_mask(number(entries[:, 8:10]), number(entries[:, :2]) == 0x0112)
    value = tf.concat([values, [1]], 0)[0]
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
