"""Scales vectors to length 1."""

from keras import ops

__all__ = ["unit"]

_SMALLEST = 1e-12  # smallest squared length; the gradient of a shorter vector would not be finite


def unit(x):
    """Scales vectors to length 1.

    Args:
        x: `(..., width)` of any float type.

    Returns:
        Float32 vectors of the same shape. A vector of zeros stays zero, and its gradient is zero.

    Example:
        >>> np.round(kv.ops.unit(np.array([[3.0, 4.0], [0.0, 0.0]])), 4).tolist()
        [[0.6..., 0.8...], [0.0, 0.0]]
    """
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), _SMALLEST))
