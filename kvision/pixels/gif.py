"""The first picture of a GIF, found alike in bytes and in a TensorFlow graph.

GIF89a specification (CompuServe 1990), sections 18 to 26. TensorFlow's reader unpacks every frame before it takes the
first, and makes transparent pixels black; so the first is cut out, and its transparent color painted white.
"""

from typing import TYPE_CHECKING

from kvision.pixels import graph_bytes as gb
from kvision.pixels.frame import Frame

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["first_frame", "first_frame_in_graph"]

_EXTENSION, _PICTURE, _CONTROL = 0x21, 0x2C, 0xF9
_WHITE = b"\xff\xff\xff"
_BYTES = [bytes([value]) for value in range(256)]


def first_frame(data: bytes) -> Frame:
    """IndexError or ValueError where the bytes are no whole GIF picture."""
    table, entries = 13, 2 << (data[10] & 7) if data[10] & 0x80 else 0
    position, transparent = table + 3 * entries, -1
    while data[position] == _EXTENSION:
        if data[position + 1] == _CONTROL:
            transparent = data[position + 6] if data[position + 3] & 1 else -1
        position = _behind_blocks(data, position + 2)
    if data[position] != _PICTURE:
        raise ValueError("it has no picture")
    flags, start = data[position + 9], position + 10
    if flags & 0x80:
        table, entries = start, 2 << (flags & 7)
        start += 3 * entries
    if not entries:
        raise ValueError("it has no color table")
    colors = data[table : table + 3 * entries]
    if 0 <= transparent < entries:
        colors = colors[: 3 * transparent] + _WHITE + colors[3 * transparent + 3 :]
    left, top, width, height = (_number(data, position + 1 + 2 * i) for i in range(4))
    sides = data[position + 5 : position + 9]
    head = b"GIF89a" + sides + _BYTES[0x80 | entries.bit_length() - 2] + b"\0\0" + colors
    pixels = data[start : _behind_blocks(data, start + 1)]
    return Frame(
        still=head + b"\x2c\0\0\0\0" + sides + _BYTES[flags & 0x40] + pixels + b";",
        alpha=False,
        canvas=(_number(data, 8), _number(data, 6)),
        box=(top, left, height, width),
    )


def _behind_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1


def _number(data: bytes, position: int) -> int:
    return data[position] + 256 * data[position + 1]


def first_frame_in_graph(data: "tf.Tensor") -> Frame:
    """As `first_frame`; tf.errors.InvalidArgumentError where the bytes are no whole GIF picture."""
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
        control = gb.digits(data, position + 1, 6)  # a picture follows: there are six more bytes
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
    )


def _tail(data: "tf.Tensor", position: "tf.Tensor") -> "tf.Tensor":
    """data[position:], also for a position behind the end."""
    import tensorflow as tf

    return gb.part(data, tf.minimum(position, gb.size(data)), gb.size(data))
