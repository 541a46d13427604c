"""The parts of decoders: convolutions with normalization, and the ways to enlarge a map."""

from typing import Any

import keras
from keras import layers

from kvision import checks
from kvision.choices import UPSCALINGS
from kvision.layers import (
    BatchNormalization,
    BedOfNails,
    MaxUnpooling,
    ResizeLike,
    SubPixelConvolution,
    SwitchedMaxPooling,
    TransposedConvolution,
)

__all__ = ["NORMS", "UPSCALINGS", "check", "convolution", "logits", "upscale"]

NORMS = ("batch", "group")
# Number of channels per group. Groups are larger if 8 does not divide the width. Wu and He 2018 use 16, for wider
# layers.
_GROUP = 8


def convolution(x: Any, width: int, *, norm: str | None, name: str, kernel_size: int = 3) -> Any:
    """Applies a convolution with padding, a normalization and ReLU.

    Args:
        x: Maps `(batch, height, width, channels)`.
        width: Number of output channels.
        norm: `"batch"`, `"group"` or None for no normalization.
        name: Prefix of the layers' names.
        kernel_size: Height and width of the kernel.

    Returns:
        Maps of the same height and width, with `width` channels.
    """
    x = layers.Conv2D(
        width, kernel_size, padding="same", use_bias=norm is None, kernel_initializer="he_uniform", name=f"{name}_conv"
    )(x)
    if norm == "batch":
        # This momentum is PyTorch's default. With the 0.99 of Keras, a network that trains for a few hundred steps
        # would be evaluated with statistics of its initial weights.
        x = BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    elif norm == "group":
        groups = next(count for count in range(max(1, width // _GROUP), 0, -1) if width % count == 0)
        x = layers.GroupNormalization(groups, name=f"{name}_gn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def upscale(x: Any, reference: Any, *, how: str, factor: int, width: int, name: str) -> Any:
    """Enlarges maps to the height and width of a reference.

    Args:
        x: Maps `(batch, h, w, channels)`.
        reference: Maps `(batch, height, width, c)`, about `factor` times as large as `x`.
        how: One of `UPSCALINGS`: `"bilinear"`, `"nearest"`, `"transposed"` (a transposed convolution with a kernel of
            twice the factor), `"subpixel"`, `"nails"` (zeros between the values) or `"unpool"` (values where the
            reference has its maxima).
        factor: Factor between the sizes.
        width: Number of output channels of `"transposed"` and `"subpixel"`.
        name: Prefix of the layers' names.

    Returns:
        Maps with the height and width of the reference. With `"unpool"` they have as many channels as the reference.
        With `"bilinear"`, `"nearest"` and `"nails"` they have as many channels as `x`.
    """
    if how == "unpool":
        largest, switches = SwitchedMaxPooling(factor, name=f"{name}_switches")(reference)
        x = layers.Conv2D(reference.shape[-1], 1, name=f"{name}_project")(ResizeLike(name=f"{name}_fit")(x, largest))
        return MaxUnpooling(factor, name=f"{name}_unpool")(x, switches, reference)
    if how == "transposed":
        x = TransposedConvolution(width, 2 * factor, factor, use_bias=False, name=f"{name}_transposed")(x)
    elif how == "subpixel":
        x = SubPixelConvolution(width, factor, name=f"{name}_subpixel")(x)
    elif how == "nails":
        x = BedOfNails(factor, name=f"{name}_nails")(x)
    # If sizes are odd, the reference can differ by a pixel from `factor` times the size of `x`.
    return ResizeLike("nearest" if how in ("nearest", "nails") else "bilinear", name=f"{name}_resize")(x, reference)


def check(up: str, norm: str | None, classes: int) -> None:
    """Raises UserError if one of the arguments that decoders share is not valid."""
    checks.one_of("up", up, UPSCALINGS)
    if norm is not None:
        checks.one_of("norm", norm, NORMS)
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        raise checks.UserError("classes", expected="an integer of at least 2", received=classes)


def logits(x: Any, classes: int, *, kernel_size: int, name: str = "logits") -> keras.KerasTensor:
    """Applies a convolution that returns logits in float32, also in a mixed-precision model."""
    return layers.Conv2D(classes, kernel_size, padding="same", dtype="float32", name=name)(x)
