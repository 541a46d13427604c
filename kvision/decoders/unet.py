"""U-Net: enlarges the coarsest map step by step and merges it with the finer maps of the backbone."""

from collections.abc import Sequence

import keras
from keras import layers

from kvision import checks
from kvision.backbones import any_size, pyramid
from kvision.decoders import blocks
from kvision.layers import Body, ResizeLike

__all__ = ["unet"]


def unet(
    backbone: keras.Model,
    classes: int,
    *,
    widths: Sequence[int] = (256, 128, 64, 32, 16),
    merge: str = "concat",
    up: str = "bilinear",
    norm: str | None = "batch",
    strides: Sequence[int] | None = None,
    narrow: bool = True,
) -> keras.Model:
    """Creates a U-Net on any backbone that has a pyramid.

    Each level enlarges the coarser map, merges it with the backbone's map of the finer stride, and applies two 3x3
    convolutions. The backbone becomes the layer `body` with fixed batch statistics. `kv.schedules` can freeze more of
    the backbone.

    Args:
        backbone: A model that `kv.backbones.pyramid` accepts. The new model shares its weights.
        classes: Number of classes, at least 2.
        widths: Number of channels of the two convolutions of each level, the coarsest level first. There is one level
            for each stride except the last, and one more at the size of the image if the first stride is not 1. If
            there is no width for that last level, logits are computed at the first stride and then enlarged. Additional
            widths are ignored. The default is the same as in segmentation_models.
        merge: `"concat"` concatenates the two maps. `"add"` adds them after 1x1 convolutions to the same number of
            channels, and needs less memory.
        up: How a map is enlarged: `"bilinear"`, `"nearest"`, `"transposed"`, `"subpixel"`, `"nails"` or `"unpool"`. The
            paper uses `"transposed"`.
        norm: Normalization: `"batch"`, `"group"` or `None`. The paper uses no normalization.
        strides: Strides of the pyramid in increasing order. `None` uses all strides of the backbone.
        narrow: Whether the maps are those of `kv.backbones.pyramid(..., narrow=True)`, as in segmentation_models. This
            matters for EfficientNet and MobileNet, because their blocks have outputs with few channels. The maps of
            `narrow=False` have more channels and need more memory and time. On CamVid they reached a higher mean IoU
            (0.657 instead of 0.638, `kvision segment`).

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 255] of any size to float32 logits
        `(batch, height, width, classes)`.

    Raises:
        UserError: If the backbone has only one stride, there are too few widths, or an option is unknown.

    Example:
        >>> backbone = kv.backbones.plain_residual(8, classes=None)
        >>> kv.decoders.unet(backbone, classes=3, widths=(8, 4)).output_shape
        (None, None, None, 3)

    References:
        Ronneberger, Fischer and Brox 2015, arXiv 1505.04597.
    """
    checks.one_of("merge", merge, ("concat", "add"))
    blocks.check(up, norm, classes)
    features = pyramid(any_size(backbone), strides, narrow=narrow)
    if len(features.strides) < 2:
        raise checks.UserError(
            "backbone",
            problem="has no pyramid",
            expected="a backbone with feature maps of two or more strides",
            received=f"'{backbone.name}' with strides {features.strides}",
        )
    steps = len(features.strides) - 1
    if len(widths) < steps:
        expected = f"at least {steps} widths, one for each step to a finer stride"
        raise checks.UserError("widths", expected=expected, received=tuple(widths))
    full = features.strides[0] > 1 and len(widths) > steps
    image = keras.Input((None, None, features.inputs[0].shape[-1]), name="image")
    *skips, x = Body(features)(image)
    for step, (skip, width) in enumerate(zip(skips[::-1], widths, strict=False)):
        fine, coarse = features.strides[steps - step - 1], features.strides[steps - step]
        name = f"up{fine}"
        x = blocks.upscale(x, skip, how=up, factor=coarse // fine, width=width, name=name)
        x = _merged(x, skip, merge, width, name)
        x = _twice(x, width, norm, name)
    if full:
        # The image is not a feature map, so the positions of its maxima are not used for unpooling.
        how = "bilinear" if up == "unpool" else up
        x = blocks.upscale(x, image, how=how, factor=features.strides[0], width=widths[steps], name="up1")
        x = _twice(x, widths[steps], norm, "up1")
    x = blocks.logits(x, classes, kernel_size=3)
    if features.strides[0] > 1 and not full:
        x = ResizeLike(name="resize", dtype="float32")(x, image)
    return keras.Model(image, x, name=f"{backbone.name}_unet")


def _merged(x, skip, merge: str, width: int, name: str):
    if merge == "concat":
        return layers.Concatenate(name=f"{name}_concat")([x, skip])
    parts = [
        part if part.shape[-1] == width else layers.Conv2D(width, 1, name=f"{name}_{side}")(part)
        for side, part in {"coarse": x, "skip": skip}.items()
    ]
    return layers.Add(name=f"{name}_add")(parts)


def _twice(x, width: int, norm: str | None, name: str):
    for number in (1, 2):
        x = blocks.convolution(x, width, norm=norm, name=f"{name}_{number}")
    return x
