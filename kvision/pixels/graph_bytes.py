"""Reads encoded bytes inside a TensorFlow graph, like `data[i:j]` and `int.from_bytes` in Python.

A position after the end raises tf.errors.InvalidArgumentError. A decoder uses this error to refuse a file.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["digits", "number", "part", "size", "starts"]


def size(data: "tf.Tensor") -> "tf.Tensor":
    """Returns the length of a string scalar in bytes, int64."""
    import tensorflow as tf

    return tf.cast(tf.strings.length(data), tf.int64)


def part(data: "tf.Tensor", position, count) -> "tf.Tensor":
    """Returns up to `count` bytes, starting at `position`, as a string scalar."""
    import tensorflow as tf

    return tf.strings.substr(data, tf.cast(position, tf.int64), tf.cast(count, tf.int64))


def digits(data: "tf.Tensor", position, count: int) -> "tf.Tensor":
    """Returns `count` bytes, starting at `position`, as `(count,)` int64."""
    import tensorflow as tf

    found = tf.io.decode_raw(part(data, position, count), tf.uint8)
    return tf.cast(tf.ensure_shape(found, (count,)), tf.int64)


def number(data: "tf.Tensor", position, count: int, *, big: bool = False) -> "tf.Tensor":
    """Reads an unsigned integer.

    Args:
        data: A string scalar.
        position: Position of the first byte of the integer.
        count: Number of bytes of the integer.
        big: Whether the most significant byte comes first.

    Returns:
        The integer, an int64 scalar.
    """
    import tensorflow as tf

    weights = [256**i for i in range(count)]
    return tf.reduce_sum(digits(data, position, count) * (weights[::-1] if big else weights))


def starts(data: "tf.Tensor", magic: bytes, position=0) -> "tf.Tensor":
    """Returns whether the bytes at `position` are `magic`, as a bool scalar. `position` must not be after the end."""
    return part(data, position, len(magic)) == magic
