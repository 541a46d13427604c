"""The projection head between an encoder and a loss."""

from collections.abc import Sequence

import keras
from keras import layers

from kvision import checks

__all__ = ["projector"]


def projector(width: int, sizes: Sequence[int], *, norm: bool = True) -> keras.Sequential:
    """Creates a projection head: dense layers with ReLU between them.

    With one size the head is a linear map, as in NPID and MoCo v1. With two sizes it is the head of SimCLR and SwAV.
    With two sizes and `norm=False` it is the head of MoCo v2. SimCLR's official code also normalizes after the last
    layer. The equations of the paper and this function do not.

    Args:
        width: Number of features of the encoder.
        sizes: Widths of the dense layers.
        norm: Whether to put a batch normalization before each ReLU, with the momentum (0.9) and epsilon (1e-5) of
            SimCLR's and SwAV's code.

    Returns:
        A model from features `(batch, width)` to projections `(batch, sizes[-1])` float32.

    Raises:
        UserError: If `sizes` is empty or holds a number below 1.

    Example:
        >>> kv.selfsup.projector(512, (512, 128)).output_shape
        (None, 128)
    """
    if not sizes or min(sizes) < 1:
        raise checks.UserError("sizes", expected="one or more widths of at least 1", received=tuple(sizes))
    parts: list = [keras.Input((width,), name="feature")]
    for number, size in enumerate(sizes[:-1], 1):
        parts.append(layers.Dense(size, use_bias=not norm, name=f"dense{number}"))
        if norm:
            parts.append(layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}"))
        parts.append(layers.ReLU(name=f"relu{number}"))
    parts.append(layers.Dense(sizes[-1], dtype="float32", name=f"dense{len(sizes)}"))
    return keras.Sequential(parts, name="projector")
