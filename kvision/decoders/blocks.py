"""What decoders are made of: normalized convolutions, and the ways back to a finer map."""

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
_GROUP = 8  # channels of a group, more where it divides none; 16 in Wu & He 2018, where no layer has fewer than 64


def convolution(x: Any, width: int, *, norm: str | None, name: str, kernel_size: int = 3) -> Any:
    """Convolution, normalization and ReLU, padded: (B, H, W, D) -> (B, H, W, width)."""
    x = layers.Conv2D(
        width, kernel_size, padding="same", use_bias=norm is None, kernel_initializer="he_uniform", name=f"{name}_conv"
    )(x)
    if norm == "batch":
        # statistics of the last ten steps or so, as PyTorch's default: with Keras' .99 a network of few images and some
        # hundred steps is judged by those that it began with
        x = BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    elif norm == "group":
        groups = next(count for count in range(max(1, width // _GROUP), 0, -1) if width % count == 0)
        x = layers.GroupNormalization(groups, name=f"{name}_gn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def upscale(x: Any, reference: Any, *, how: str, factor: int, width: int, name: str) -> Any:
    """x (B, h, w, D) -> (B, H, W, ...) of the reference's height and width, which are about `factor` times x's.

    how: "bilinear", "nearest" (D channels), "transposed" (a learned transposed convolution of twice the factor),
    "subpixel", "nails" (zeros between), "unpool" (values where the reference's maxima stand: the reference's channels).
    The learned ones have `width` channels.
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
    # odd sizes: the finer map may be a pixel smaller or larger than `factor` times the coarse one
    return ResizeLike("nearest" if how in ("nearest", "nails") else "bilinear", name=f"{name}_resize")(x, reference)


def check(how: str, norm: str | None, classes: int) -> None:
    """The arguments that decoders share."""
    checks.one_of("up", how, UPSCALINGS)
    if norm is not None:
        checks.one_of("norm", norm, NORMS)
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        raise checks.error("classes", expected="a count of classes, at least 2", received=classes)


def logits(x: Any, classes: int, *, kernel_size: int, name: str = "logits") -> keras.KerasTensor:
    """(B, H, W, D) -> (B, H, W, classes) float32, whatever the model computes in."""
    return layers.Conv2D(classes, kernel_size, padding="same", dtype="float32", name=name)(x)
