"""A PNG's chunks: whether they are whole, and where the EXIF data stand, alike in bytes and in a TensorFlow graph.

PNG specification (W3C, third edition), sections 5.3 and 11.3.4.5 (eXIf).
"""

import struct
import zlib
from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["check_chunks", "exif", "exif_in_graph"]

_EXIF, _LAST = b"eXIf", (b"IDAT", b"IEND")  # EXIF data behind the pixels are passed over


def check_chunks(data: bytes) -> None:
    """Checksums to the last chunk, as TensorFlow's reader wants them; Pillow is content with all rows of pixels.

    ValueError saying what is wrong.
    """
    position, kind = 8, b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ValueError("truncated")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ValueError("truncated")
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(memoryview(data)[position + 4 : end])):
            raise ValueError("a checksum is wrong")
        position = end + 4


def exif(data: bytes) -> bytes:
    """The TIFF directory before the pixels of a PNG; b"" where there is none."""
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == _EXIF:
            return data[position + 8 : position + 8 + length]
        if kind in _LAST:
            break
        position += 12 + length
    return b""


def exif_in_graph(data: "tf.Tensor") -> "tf.Tensor":
    """As `exif`: string scalar -> string scalar."""
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
