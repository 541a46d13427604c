"""The small network between an encoder and a loss."""

from collections.abc import Sequence

import keras
from keras import layers

from kvision import checks

__all__ = ["projector"]


def projector(width: int, sizes: Sequence[int], *, norm: bool = True) -> keras.Sequential:
    """Creates dense layers with ReLU between them.

    One size is a linear map, the head of NPID and MoCo v1. Two sizes with `norm` are the head of SimCLR and SwAV,
    without it the head of MoCo v2. SimCLR's official code normalizes after the last layer too, the paper's equations
    do not.

    Args:
        width: Number of features.
        sizes: Widths of the layers.
        norm: Whether batch normalization comes before each ReLU. Its momentum of .9 and epsilon of 1e-5 are those of
            SimCLR's and SwAV's code.

    Returns:
        A model from features `(batch, width)` to `(batch, sizes[-1])` float32.

    Raises:
        kvision.UserError: If there is no size.
    """
    if not sizes or min(sizes) < 1:
        raise checks.error("sizes", expected="one or more widths of at least 1", received=tuple(sizes))
    parts: list = [keras.Input((width,), name="feature")]
    for number, size in enumerate(sizes[:-1], 1):
        parts.append(layers.Dense(size, use_bias=not norm, name=f"dense{number}"))
        parts += [layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}")] if norm else []
        parts.append(layers.ReLU(name=f"relu{number}"))
    parts.append(layers.Dense(sizes[-1], dtype="float32", name=f"dense{len(sizes)}"))
    return keras.Sequential(parts, name="projector")
