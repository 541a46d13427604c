"""Finds the first picture of a GIF in a TensorFlow graph.

GIF89a specification (CompuServe 1990), sections 18 to 26. TensorFlow's reader decodes every frame before it returns the
first frame, and it makes transparent pixels black. So this module cuts out the first frame, and changes its transparent
color to white.
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb
from kvision.pixels.frame import Frame

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["first_frame"]

_EXTENSION, _PICTURE, _CONTROL = 0x21, 0x2C, 0xF9
_WHITE = b"\xff\xff\xff"
_BYTES = [bytes([value]) for value in range(256)]


def first_frame(data: "tf.Tensor") -> Frame:
    """Cuts the first frame out of a GIF.

    Args:
        data: The encoded GIF, a string scalar.

    Returns:
        The frame. `still` is empty if there is no picture or no color table.

    Raises:
        tf.errors.InvalidArgumentError: If the file ends within the first frame.
    """
    import tensorflow as tf

    def byte(position):
        return gb.number(data, position, 1)

    def behind_blocks(position):
        step = lambda at, count: (at + count + 1, byte(at + count + 1))  # noqa: E731
        position, _ = tf.while_loop(lambda at, count: count > 0, step, (position, byte(position)))
        return position + 1

    def table_of(flags):
        return tf.where(flags & 0x80 > 0, tf.bitwise.left_shift(tf.constant(2, tf.int64), flags & 7), 0)

    def skip(position, _, transparent):
        control = gb.digits(data, position + 1, 6)  # at least six bytes follow, because a picture follows
        index = tf.where(control[2] & 1 > 0, control[5], -1)
        position = behind_blocks(position + 2)
        return position, byte(position), tf.where(control[0] == _CONTROL, index, transparent)

    table, entries = tf.constant(13, tf.int64), table_of(byte(10))
    position = table + 3 * entries
    start = (position, byte(position), tf.constant(-1, tf.int64))
    position, kind, transparent = tf.while_loop(lambda _, kind, __: kind == _EXTENSION, skip, start)

    flags, start = byte(position + 9), position + 10
    local = table_of(flags)
    table, entries = tf.where(local > 0, start, table), tf.where(local > 0, local, entries)
    colors = gb.part(data, table, 3 * entries)
    behind = 3 * (transparent + 1)
    painted = tf.where(
        (transparent >= 0) & (transparent < entries),
        tf.strings.join([gb.part(colors, 0, tf.maximum(behind - 3, 0)), _WHITE, _tail(colors, behind)]),
        colors,
    )
    left, top, width, height = tf.unstack(tf.reshape(gb.digits(data, position + 1, 8), (4, 2)) @ [[1], [256]])
    sides = gb.part(data, position + 5, 4)
    power = tf.cast(tf.round(tf.math.log(tf.cast(tf.maximum(entries, 2), tf.float32)) / tf.math.log(2.0)), tf.int64)
    character = lambda value: tf.gather(tf.constant(_BYTES), value)  # noqa: E731
    pixels = gb.part(data, start + 3 * local, behind_blocks(start + 3 * local + 1) - start - 3 * local)
    still = tf.strings.join(
        [
            *("GIF89a", sides, character(0x7F + power), b"\0\0", painted),
            *(b"\x2c\0\0\0\0", sides, character(flags & 0x40), pixels, ";"),
        ]
    )
    return Frame(
        still=tf.where((kind == _PICTURE) & (entries > 0), still, b""),
        alpha=tf.constant(False),
        canvas=(gb.number(data, 8, 2), gb.number(data, 6, 2)),
        box=(top[0], left[0], height[0], width[0]),
        around=tf.constant(255, tf.uint8),
        tiff=tf.constant(b""),
    )


def _tail(data: "tf.Tensor", position: "tf.Tensor") -> "tf.Tensor":
    """Returns `data[position:]`, even if the position is after the end."""
    import tensorflow as tf

    return gb.part(data, tf.minimum(position, gb.size(data)), gb.size(data))
