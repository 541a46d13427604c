"""Sizes that may be known only when the graph runs."""

from typing import Any

from keras import ops

__all__ = ["sizes"]


def sizes(x) -> tuple:
    """The shape of a tensor: integers, and tensors where a size is known only when the graph runs."""
    shape: Any = ops.shape(x)  # its declared type is wrong
    return tuple(shape)
