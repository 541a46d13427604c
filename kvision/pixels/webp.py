"""The first picture of a WebP, found alike in bytes and in a TensorFlow graph.

WebP Container Specification (RFC 9649, section 2). TensorFlow's reader unpacks every frame, Pillow's makes two canvases
before it tells their size; so size and alpha are read here, and both get a file that holds the first picture alone.
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb
from kvision.pixels.frame import Frame

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["first_frame", "first_frame_in_graph"]

_LOSSY, _LOSSLESS, _ALPHA, _FRAME, _EXIF = b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"EXIF"
_PREFIX = b"Exif\0\0"


def first_frame(data: bytes) -> Frame:
    """IndexError or ValueError where the bytes are no whole WebP picture."""
    end = 8 + _number(data, 4, 4)
    if end > len(data):
        raise ValueError("it is truncated")
    found: dict[bytes, int] = {}
    position = 12
    while position + 8 <= end:
        kind, length = data[position : position + 4], _number(data, position + 4, 4)
        new = kind not in found
        found.setdefault(b"VP8" if kind in (_LOSSY, _LOSSLESS) else kind, position)
        if position + 8 + length > end:
            raise ValueError("it is truncated")
        # into the first frame, over everything else
        position += 24 if kind == _FRAME and new else 8 + length + length % 2
    if b"VP8" not in found:
        raise ValueError("it has no picture")
    picture = found[b"VP8"]
    lossless = data[picture : picture + 4] == _LOSSLESS
    if lossless:
        bits = _number(data, picture + 9, 4)
        width, height, alpha = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    else:
        width, height = _number(data, picture + 14, 2) & 0x3FFF, _number(data, picture + 16, 2) & 0x3FFF
        alpha = found.get(_ALPHA, picture) < picture
    canvas, top, left = (height, width), 0, 0
    if data[12:16] == b"VP8X":
        canvas = (_number(data, 27, 3) + 1, _number(data, 24, 3) + 1)
    if (frame := found.get(_FRAME, picture)) < picture:
        left, top = 2 * _number(data, frame + 8, 3), 2 * _number(data, frame + 11, 3)
    body = _chunk(data, picture)
    if alpha and not lossless:
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"VP8X\x0a\0\0\0\x10\0\0\0" + sides + _chunk(data, found[_ALPHA]) + body
    tiff = _chunk(data, found[_EXIF])[8:].removeprefix(_PREFIX) if _EXIF in found else b""
    return Frame(
        still=b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body,
        alpha=alpha,
        canvas=canvas,
        box=(top, left, height, width),
        tiff=tiff,
    )


def _number(data: bytes, position: int, count: int) -> int:
    if position + count > len(data):
        raise IndexError("it is truncated")
    return int.from_bytes(data[position : position + count], "little")


def _chunk(data: bytes, position: int) -> bytes:
    """With its head, and padded to an even length."""
    length = _number(data, position + 4, 4)
    return data[position : position + 8 + length] + b"\0" * (length % 2)


def first_frame_in_graph(data: "tf.Tensor") -> Frame:
    """As `first_frame`; tf.errors.InvalidArgumentError where the bytes are no whole WebP picture."""
    import tensorflow as tf

    kinds = (_ALPHA, _FRAME, _EXIF)
    end = 8 + gb.number(data, 4, 4)
    none = tf.constant(-1, tf.int64)

    def chunk(position):  # with its head, and padded to an even length
        length = gb.number(data, position + 4, 4)
        return tf.strings.join([gb.part(data, position, 8 + length), tf.where(length % 2 > 0, b"\0", b"")])

    def goes_on(position, *_):
        return position + 8 <= end

    def step(position, picture, *found):
        kind, length = gb.part(data, position, 4), gb.number(data, position + 4, 4)
        is_picture = (kind == _LOSSY) | (kind == _LOSSLESS)
        first = (kind == _FRAME) & (found[1] < 0)
        behind = tf.where(first, position + 24, position + 8 + length + length % 2)
        whole = position + 8 + length <= end
        return (
            tf.where(whole, behind, end + gb.size(data)),  # where nothing can be read: a refusal below
            tf.where(is_picture & (picture < 0), position, picture),
            *(tf.where((kind == k) & (at < 0), position, at) for k, at in zip(kinds, found, strict=True)),
        )

    start = (tf.constant(12, tf.int64), none, none, none, none)
    position, picture, alpha_at, frame, exif = tf.while_loop(goes_on, step, start)
    whole = (position <= end + 1) & (end <= gb.size(data)) & (picture >= 0)
    picture = tf.where(whole, picture, gb.size(data))

    def lossless_head():
        bits = gb.number(data, picture + 9, 4)
        return (bits // 2**14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1, bits // 2**28 & 1 > 0

    def lossy_head():
        height, width = gb.number(data, picture + 16, 2) & 0x3FFF, gb.number(data, picture + 14, 2) & 0x3FFF
        return height, width, (alpha_at >= 0) & (alpha_at < picture)

    lossless = gb.starts(data, _LOSSLESS, picture)
    height, width, alpha = tf.cond(lossless, lossless_head, lossy_head)
    extended = gb.starts(data, b"VP8X", 12)
    canvas = tf.cond(
        extended, lambda: (gb.number(data, 27, 3) + 1, gb.number(data, 24, 3) + 1), lambda: (height, width)
    )
    top, left = tf.cond(
        (frame >= 0) & (frame < picture),
        lambda: (2 * gb.number(data, frame + 11, 3), 2 * gb.number(data, frame + 8, 3)),
        lambda: (tf.constant(0, tf.int64), tf.constant(0, tf.int64)),
    )

    def with_alpha():
        sides = gb.part(_little(width - 1), 0, 3) + gb.part(_little(height - 1), 0, 3)
        return tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", sides, chunk(alpha_at), chunk(picture)])

    body = tf.cond(alpha & ~lossless, with_alpha, lambda: chunk(picture))
    tiff = tf.cond(exif >= 0, lambda: gb.part(chunk(exif), 8, gb.size(data)), lambda: tf.constant(b""))
    prefix = tf.where(gb.starts(tiff, _PREFIX), len(_PREFIX), 0)
    tiff = gb.part(tiff, prefix, gb.size(tiff))
    return Frame(
        still=tf.strings.join([b"RIFF", _little(4 + gb.size(body)), b"WEBP", body]),
        alpha=alpha,
        canvas=canvas,
        box=(top, left, height, width),
        tiff=tiff,
    )


def _little(value: "tf.Tensor") -> "tf.Tensor":
    """Four bytes, the least significant first."""
    import tensorflow as tf

    return tf.strings.reduce_join(
        [tf.gather([bytes([i]) for i in range(256)], value // 256**i % 256) for i in range(4)]
    )
