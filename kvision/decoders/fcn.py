"""FCN-32s, FCN-16s and FCN-8s: sums of the scores of several strides."""

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
    """Creates FCN-32s, FCN-16s or FCN-8s on a backbone.

    1x1 convolutions compute scores at each stride. The coarsest scores are enlarged and added to the scores of the next
    finer stride, step by step. The last step, to the size of the image, is bilinear. The scores of finer strides start
    at zero. The paper pads images by 100 pixels. This function resizes each map to the size of the next finer map
    instead. The backbone becomes the layer `body` with fixed batch statistics. `kv.schedules` can freeze more of the
    backbone.

    Args:
        backbone: A model with strides 8, 16 and 32 that `kv.backbones.pyramid` accepts. The new model shares its
            weights.
        classes: Number of classes, at least 2.
        stride: Stride of the finest scores: 32, 16 or 8.
        hidden: Number of channels of a 3x3 convolution before the coarsest scores, or 0 for no convolution. This
            convolution replaces fc6 and fc7 of the paper's VGG, which have 4,096 channels and weights from ImageNet.
        dropout: Fraction of dropped values after this convolution, in [0, 1).
        norm: Normalization after this convolution: `"batch"`, `"group"` or None.
        trainable_upscaling: True enlarges scores by transposed convolutions that start as bilinear interpolation. False
            uses fixed bilinear interpolation, as in the final models of the paper.

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 255] of any size to float32 logits
        `(batch, height, width, classes)`.

    Raises:
        UserError: If the backbone does not have these strides, or an argument is out of its range.

    Example:
        >>> halving = [keras.layers.Conv2D(8, 3, strides=2, padding="same") for _ in range(5)]
        >>> backbone = keras.Sequential([keras.Input((64, 64, 3)), *halving])
        >>> kv.decoders.fcn(backbone, classes=3, hidden=8).output_shape
        (None, None, None, 3)

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 4.2.
    """
    if stride not in _STRIDES:
        raise checks.UserError("stride", expected="8, 16 or 32", received=stride)
    blocks.check("transposed", norm, classes)
    if hidden < 0:
        raise checks.UserError("hidden", expected="a number of channels, or 0", received=hidden)
    if not 0 <= dropout < 1:
        raise checks.UserError("dropout", expected="a number in [0, 1)", received=dropout)
    features = pyramid(any_size(backbone), [s for s in _STRIDES if s >= stride])
    image = keras.Input((None, None, features.inputs[0].shape[-1]), name="image")
    *finer, x = Body(features)(image)
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
