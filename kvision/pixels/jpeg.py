"""Finds the EXIF data of a JPEG in a TensorFlow graph.

EXIF 2.3 (CIPA DC-008), section 4.5, describes the APP1 segment "Exif".
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["exif"]

_WITHIN = 256 * 1024  # number of bytes that are searched for the segment; a segment has at most 64 kB
_EXIF = b"Exif\0\0"


def exif(data: "tf.Tensor") -> "tf.Tensor":
    """Returns the TIFF directory in the bytes of a JPEG, as a string scalar. It is empty if there is no directory."""
    import tensorflow as tf

    data = gb.part(data, 0, _WITHIN)
    size = gb.size(data)

    def look(position):  # reads zeros after the end
        head = tf.strings.join([gb.part(data, position, 10), b"\0" * 10])
        found = gb.digits(head, 0, 4)
        is_exif = (found[1] == 0xE1) & gb.starts(head, _EXIF, 4)
        return found[0] == 0xFF, found[1], 256 * found[2] + found[3], is_exif

    def goes_on(position, is_segment, marker, length, is_exif):
        ended = (marker == 0xDA) | ((length < 2) & (marker != 0xFF)) | is_exif
        return (position + 4 <= size) & is_segment & ~ended

    def step(position, is_segment, marker, length, is_exif):
        position = tf.minimum(position + tf.where(marker == 0xFF, tf.constant(1, tf.int64), 2 + length), size)
        return position, *look(position)

    start = tf.minimum(tf.constant(2, tf.int64), size)
    position, is_segment, _, length, is_exif = tf.while_loop(goes_on, step, (start, *look(start)))
    here = (position + 10 <= size) & is_segment & is_exif
    return tf.cond(here, lambda: gb.part(data, position + 10, tf.maximum(length - 8, 0)), lambda: tf.constant(b""))
