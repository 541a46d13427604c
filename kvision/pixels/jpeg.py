"""Where a JPEG keeps its EXIF data, found alike in bytes and in a TensorFlow graph.

EXIF 2.3 (CIPA DC-008), section 4.5: the APP1 segment "Exif". Both halves walk the same bytes by the same rules, so that
a damaged segment cannot turn an image in one of them only.
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["exif", "exif_in_graph"]

_WITHIN = 256 * 1024  # where the segments before the pixels are looked for; one has at most 64 kB
_EXIF = b"Exif\0\0"


def exif(data: bytes) -> bytes:
    """The TIFF directory in a JPEG's bytes; b"" where there is none."""
    data = data[:_WITHIN]
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xE1 and data[position + 4 : position + 10] == _EXIF:
            return data[position + 10 : position + 2 + length]
        if marker == 0xDA or (length < 2 and marker != 0xFF):
            return b""
        position += 1 if marker == 0xFF else 2 + length  # 0xFF may be filled up with more of it
    return b""


def exif_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """As `exif`: string scalar -> string scalar."""
    import tensorflow as tf

    data = gb.part(data, 0, _WITHIN)
    size = gb.size(data)

    def look(position):  # at what stands there, and zeros behind the end
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
