"""The small network between an encoder and a loss."""

from collections.abc import Sequence

import keras
from keras import layers

from kvision import checks

__all__ = ["projector"]


def projector(width: int, sizes: Sequence[int], *, norm: bool = True) -> keras.Sequential:
    """Features (B, width) -> (B, sizes[-1]) float32: dense layers with ReLU between, after BatchNorm with `norm`.

    One size: a linear map, the head of NPID and MoCo v1. Two with norm: SimCLR's and SwAV's; without: MoCo v2's.
    SimCLR's official code normalizes after the last layer too, which the paper's equations do not.
    Raises UserError for no size.
    """
    if not sizes or min(sizes) < 1:
        raise checks.error("sizes", expected="one or more widths of at least 1", received=tuple(sizes))
    parts: list = [keras.Input((width,), name="feature")]
    for number, size in enumerate(sizes[:-1], 1):
        parts.append(layers.Dense(size, use_bias=not norm, name=f"dense{number}"))
        parts += [layers.BatchNormalization(momentum=0.9, name=f"norm{number}")] if norm else []
        parts.append(layers.ReLU(name=f"relu{number}"))
    parts.append(layers.Dense(sizes[-1], dtype="float32", name=f"dense{len(sizes)}"))
    return keras.Sequential(parts, name="projector")
