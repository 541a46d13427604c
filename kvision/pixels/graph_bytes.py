"""Reading encoded bytes inside a TensorFlow graph: numbers at positions, as `data[i:j]` and `int.from_bytes` in Python.

A position behind the end raises tf.errors.InvalidArgumentError: in a decoder that is what a refusal is.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["digits", "number", "part", "size", "starts"]


def size(data: "tf.Tensor") -> "tf.Tensor":
    """Length in bytes of a string scalar, int64."""
    import tensorflow as tf

    return tf.cast(tf.strings.length(data), tf.int64)


def part(data: "tf.Tensor", position, count) -> "tf.Tensor":
    """Up to `count` bytes from `position` on, a string scalar."""
    import tensorflow as tf

    return tf.strings.substr(data, tf.cast(position, tf.int64), tf.cast(count, tf.int64))


def digits(data: "tf.Tensor", position, count: int) -> "tf.Tensor":
    """(count,) int64: the bytes from `position` on."""
    import tensorflow as tf

    found = tf.io.decode_raw(part(data, position, count), tf.uint8)
    return tf.cast(tf.ensure_shape(found, (count,)), tf.int64)


def number(data: "tf.Tensor", position, count: int, *, big: bool = False) -> "tf.Tensor":
    """An unsigned integer of `count` bytes, int64 scalar; big: most significant byte first."""
    import tensorflow as tf

    weights = [256**i for i in range(count)]
    return tf.reduce_sum(digits(data, position, count) * (weights[::-1] if big else weights))


def starts(data: "tf.Tensor", magic: bytes, position=0) -> "tf.Tensor":
    """Whether the bytes at `position`, which must not lie behind the end, are `magic`: bool scalar."""
    return part(data, position, len(magic)) == magic
