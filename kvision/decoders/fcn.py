"""FCN-32s, 16s and 8s: scores of every stride, summed on their way to the image's size."""

from typing import Any

import keras
from keras import layers

from kvision import checks
from kvision.backbones import any_size, pyramid
from kvision.decoders import blocks
from kvision.layers import BilinearKernel, Body, ResizeLike, TransposedConvolution

__all__ = ["fcn"]

_STRIDES = (8, 16, 32)


def fcn(
    backbone: keras.Model,
    classes: int,
    *,
    stride: int = 8,
    hidden: int = 512,
    dropout: float = 0.5,
    norm: str | None = "batch",
    trainable_upscaling: bool = True,
) -> keras.Model:
    """FCN-32s, 16s or 8s (Long, Shelhamer & Darrell 2015, arXiv 1411.4038, section 4.2): image (B, H, W, C) in
    [0, 255], any H and W -> logits (B, H, W, classes) float32.

    backbone: with a pyramid of strides 8, 16, 32; weights are shared. stride: of the finest scores. hidden: channels of
    a 3x3 convolution before the coarsest scores, with dropout: it stands for fc6 and fc7 of the paper's VGG, two layers
    of 4,096, the first 7x7, which had weights from ImageNet; 0 leaves it out. Scores are 1x1 convolutions, those of
    finer strides begin at zero. Each is enlarged to the next by a transposed convolution that begins as bilinear
    interpolation; trainable_upscaling: False keeps that, as the paper's final models do. The last step is bilinear.
    Unlike there no image is padded by 100 pixels: maps are brought to the size of the next finer one.
    The backbone becomes the layer `body`, its statistics fixed; `kv.schedules` freezes more.
    Raises UserError for a backbone that lacks these strides, and another `stride`.
    """
    if stride not in _STRIDES:
        raise checks.error("stride", expected="8, 16 or 32", received=stride)
    blocks.check("transposed", norm, classes)
    if hidden < 0:
        raise checks.error("hidden", expected="a count of channels, 0 for none", received=hidden)
    if not 0 <= dropout < 1:
        raise checks.error("dropout", expected="a share in [0, 1)", received=dropout)
    features = pyramid(any_size(backbone), [s for s in _STRIDES if s >= stride])
    image = keras.Input((None, None, features.inputs[0].shape[-1]), name="image")
    *finer, x = _listed(Body(features)(image))
    if hidden:
        x = blocks.convolution(x, hidden, norm=norm, name="hidden")
        x = layers.Dropout(dropout, name="dropout")(x)
    x = blocks.logits(x, classes, kernel_size=1, name="score32")
    for fine, feature in zip((16, 8), finer[::-1], strict=False):
        x = _enlarged(x, feature, classes, trainable_upscaling, f"up{fine}")
        score = layers.Conv2D(classes, 1, kernel_initializer="zeros", dtype="float32", name=f"score{fine}")(feature)
        x = layers.Add(name=f"sum{fine}", dtype="float32")([x, score])
    x = ResizeLike(name="logits", dtype="float32")(x, image)
    return keras.Model(image, x, name=f"{backbone.name}_fcn{stride}s")


def _enlarged(x: Any, reference: Any, classes: int, trainable: bool, name: str) -> Any:
    if trainable:
        x = TransposedConvolution(
            classes, 4, 2, use_bias=False, kernel_initializer=BilinearKernel(), name=name, dtype="float32"
        )(x)
    return ResizeLike(name=f"{name}_resize", dtype="float32")(x, reference)


def _listed(features: Any) -> list:
    return list(features) if isinstance(features, list | tuple) else [features]
