"""Finds the EXIF data of a PNG in a TensorFlow graph.

See the PNG specification (W3C, third edition), section 11.3.4.5 (eXIf).
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["exif"]

_EXIF, _LAST = b"eXIf", (b"IDAT", b"IEND")  # EXIF data after the pixels are not read


def exif(data: "tf.Tensor") -> "tf.Tensor":
    """Returns the TIFF directory before the pixels of a PNG, as a string scalar. Empty if there is no directory."""
    import tensorflow as tf

    size = gb.size(data)

    def look(position):
        return gb.part(tf.strings.join([gb.part(data, position, 8), b"\0" * 8]), 0, 8)

    def goes_on(position, head):
        kind = gb.part(head, 4, 4)
        ended = (kind == _EXIF) | (kind == _LAST[0]) | (kind == _LAST[1])
        return (position + 8 <= size) & ~ended

    def step(position, head):
        position = tf.minimum(position + 12 + gb.number(head, 0, 4, big=True), size)
        return position, look(position)

    start = tf.minimum(tf.constant(8, tf.int64), size)
    position, head = tf.while_loop(goes_on, step, (start, look(start)))
    here = (position + 8 <= size) & gb.starts(head, _EXIF, 4)
    length = gb.number(head, 0, 4, big=True)
    return tf.cond(here, lambda: gb.part(data, position + 8, length), lambda: tf.constant(b""))
