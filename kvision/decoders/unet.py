"""U-Net: a feature pyramid on its way back up, joined with what it saw on its way down."""

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

    Each level enlarges the coarser map, merges it with the backbone's map of that stride, and applies two 3x3
    convolutions. The backbone becomes the layer `body`, its batch statistics fixed, and the rest is its head;
    `kv.schedules` freezes more.

    Args:
        backbone: A model that `kv.backbones.pyramid` takes. Weights are shared.
        classes: Number of classes, at least 2.
        widths: Channels of the two convolutions of each level, the coarsest first: one for each stride but the last,
            and one more for the size of the image where the first stride is not 1. If that one is left out, logits are
            computed at the first stride and enlarged. More widths than needed are cut. The default is that of
            segmentation_models.
        merge: `"concat"`, or `"add"` after 1x1 convolutions to one width, which takes less memory.
        up: How a map is enlarged: `"bilinear"`, `"nearest"`, `"transposed"`, `"subpixel"`, `"nails"` or `"unpool"`.
            The original has `"transposed"`.
        norm: `"batch"`, `"group"` or `None`. The original has none.
        strides: Strides of the pyramid. If None, all.
        narrow: Whether the maps are those of `kv.backbones.pyramid(..., narrow=True)`: of EfficientNet and MobileNet
            the narrow outputs of the blocks, without the last 1x1 convolution, as in segmentation_models. The wide maps
            take more memory and time, and gave a higher mean IoU on CamVid (.657 against .638, `kvision segment`).

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 255] of any size to float32 logits
        `(batch, height, width, classes)`.

    Raises:
        kvision.UserError: If the backbone has no pyramid, there are too few widths, or an option is unknown.

    References:
        Ronneberger, Fischer and Brox 2015, arXiv 1505.04597.
    """
    checks.one_of("merge", merge, ("concat", "add"))
    blocks.check(up, norm, classes)
    features = pyramid(any_size(backbone), strides, narrow=narrow)
    if len(features.strides) < 2:
        raise checks.error(
            "backbone",
            problem="has no pyramid",
            expected="feature maps of two strides or more",
            received=f"'{backbone.name}' with strides {features.strides}",
        )
    steps = len(features.strides) - 1
    if len(widths) < steps:
        raise checks.error("widths", expected=f"{steps} or more, one for each step up", received=tuple(widths))
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
        # nothing was seen at this size whose maxima could be put back
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
