"""Vectors of length one."""

from keras import ops

__all__ = ["unit"]

_SMALLEST = 1e-12  # of a squared length: a gradient through shorter ones would not be finite


def unit(x):
    """x (..., D) of any float type -> float32 rows of length 1; a row of zeros stays zero, with gradient zero."""
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), _SMALLEST))
