"""Finds the first picture of a WebP in a TensorFlow graph.

See the WebP Container Specification (RFC 9649, section 2). TensorFlow's reader decodes every frame, and needs to know
whether there is an alpha channel. So this module cuts out the first frame.
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb
from kvision.pixels.frame import Frame

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["first_frame"]

_LOSSY, _LOSSLESS, _ALPHA, _FRAME, _EXIF = b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"EXIF"
_PREFIX = b"Exif\0\0"
_HAS_ALPHA, _HAS_EXIF = 0x10, 0x08  # flags of an extended file


def first_frame(data: "tf.Tensor") -> Frame:
    """Cuts the first frame out of a WebP.

    Args:
        data: The encoded WebP, a string scalar.

    Returns:
        The frame.

    Raises:
        tf.errors.InvalidArgumentError: If the file has no picture, is truncated, or has parts with impossible sizes.
    """
    import tensorflow as tf

    picture, alpha_at, frame, exif = _places(data)

    def chunk(position):  # returns the chunk with its head, padded to an even length
        length = gb.number(data, position + 4, 4)
        return tf.strings.join([gb.part(data, position, 8 + length), tf.where(length % 2 > 0, b"\0", b"")])

    def lossless_head():
        bits = gb.number(data, picture + 9, 4)
        return (bits // 2**14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1, bits // 2**28 & 1 > 0

    def lossy_head():
        height, width = gb.number(data, picture + 16, 2) & 0x3FFF, gb.number(data, picture + 14, 2) & 0x3FFF
        return height, width, (alpha_at >= 0) & (alpha_at < picture)

    lossless = gb.starts(data, _LOSSLESS, picture)
    height, width, alpha = tf.cond(lossless, lossless_head, lossy_head)
    extended = gb.starts(data, b"VP8X", 12)
    flags = tf.where(extended, gb.number(data, 20, 1), 0)
    canvas = tf.cond(
        extended, lambda: (gb.number(data, 27, 3) + 1, gb.number(data, 24, 3) + 1), lambda: (height, width)
    )
    within = (frame >= 0) & (frame < picture)
    top, left = tf.cond(
        within,
        lambda: (2 * gb.number(data, frame + 11, 3), 2 * gb.number(data, frame + 8, 3)),
        lambda: (tf.constant(0, tf.int64), tf.constant(0, tf.int64)),
    )

    def with_alpha():
        sides = gb.part(_little(width - 1), 0, 3) + gb.part(_little(height - 1), 0, 3)
        return tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", sides, chunk(alpha_at), chunk(picture)])

    body = tf.cond(alpha & ~lossless, with_alpha, lambda: chunk(picture))
    has_exif = (exif >= 0) & (flags & _HAS_EXIF > 0)
    tiff = tf.cond(has_exif, lambda: gb.part(chunk(exif), 8, gb.size(data)), lambda: tf.constant(b""))
    prefix = tf.where(gb.starts(tiff, _PREFIX), len(_PREFIX), 0)
    tiff = gb.part(tiff, prefix, gb.size(tiff))
    still = tf.strings.join([b"RIFF", _little(4 + gb.size(body)), b"WEBP", body])
    fills = (canvas[0] == height) & (canvas[1] == width)
    return Frame(
        still=tf.where(within | fills, still, b""),  # only frames of an animation may be smaller than the canvas
        alpha=alpha,
        canvas=canvas,
        box=(top, left, height, width),
        # libwebp makes these pixels transparent, which is black in a file without an alpha channel
        around=tf.where(flags & _HAS_ALPHA > 0, tf.constant(255, tf.uint8), 0),
        tiff=tiff,
    )


def _places(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]":
    """Returns the places of the first picture, alpha channel, frame and EXIF data, or -1 for a missing chunk."""
    import tensorflow as tf

    kinds = (_ALPHA, _FRAME, _EXIF)
    end = 8 + gb.number(data, 4, 4)
    none = tf.constant(-1, tf.int64)

    def goes_on(position, *_):
        return position + 8 <= end

    def step(position, picture, *found):
        kind, length = gb.part(data, position, 4), gb.number(data, position + 4, 4)
        is_picture = (kind == _LOSSY) | (kind == _LOSSLESS)
        first = (kind == _FRAME) & (found[1] < 0)
        behind = tf.where(first, position + 24, position + 8 + length + length % 2)
        whole = position + 8 + length <= end
        return (
            tf.where(whole, behind, end + gb.size(data)),  # a place after the end, so that the file is refused below
            tf.where(is_picture & (picture < 0), position, picture),
            *(tf.where((kind == k) & (at < 0), position, at) for k, at in zip(kinds, found, strict=True)),
        )

    start = (tf.constant(12, tf.int64), none, none, none, none)
    position, picture, alpha_at, frame, exif = tf.while_loop(goes_on, step, start)
    whole = (position <= end + 1) & (end <= gb.size(data)) & (picture >= 0)
    return tf.where(whole, picture, gb.size(data)), alpha_at, frame, exif


def _little(value: "tf.Tensor") -> "tf.Tensor":
    """Returns four bytes, least significant byte first."""
    import tensorflow as tf

    return tf.strings.reduce_join(
        [tf.gather([bytes([i]) for i in range(256)], value // 256**i % 256) for i in range(4)]
    )
