"""Sizes of tensors that may be known only when the graph runs."""

from typing import Any

from keras import ops

__all__ = ["sizes"]


def sizes(x) -> tuple:
    """Returns the shape of a tensor as a tuple, with a scalar tensor for each size that is known only at run time.

    Args:
        x: Any tensor.

    Returns:
        Integers and scalar tensors.

    Example:
        >>> kv.ops.sizes(np.zeros((2, 3)))
        (2, 3)
    """
    shape: Any = ops.shape(x)  # Keras declares a wrong type for `ops.shape`
    return tuple(shape)
