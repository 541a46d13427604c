"""The smallest residual network of ImageNet's, whose stem follows the size of the images."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import BatchNormalization, Preprocess

__all__ = ["resnet18"]

SMALL = 64  # pixels: up to here the stem does not shrink the image


def resnet18(
    *,
    width: int = 64,
    image_size: int = 224,
    channels: int = 3,
    pooling: str | None = None,
    small_stem: bool | None = None,
) -> keras.Model:
    """ResNet-18 (He et al. 2016, arXiv 1512.03385, table 1; shortcuts of option B) of any width.

    Returns a functional model `image` (B, S, S, channels) in [0, 255] -> (B, h, w, 8 * width), or (B, 8 * width) with
    pooling "avg". Four stages of two blocks, of width, 2, 4, 8 times width filters. small_stem: a 3x3 convolution of
    stride 1 without max-pool, as SimCLR has it for CIFAR-10 (Chen et al. 2020, arXiv 2002.05709, appendix B.9), strides
    1, 2, 4, 8; False: 7x7 of stride 2 and a max-pool, strides 4, 8, 16, 32; None: True for images up to 64 pixels.
    Parameters at width 64: 11,186,112 (torchvision's 11,176,512 and 9,600 moving statistics of BatchNorm), 11,178,432
    with the small stem; at width 16 702,576. Inputs: `Preprocess("torch")`.
    Layers are named `conv1*`, `stage1_block1_*` ... `stage4_block2_*`.
    Raises UserError for a width below 1 or another pooling.
    """
    if not isinstance(width, int) or width < 1:
        raise checks.error("width", expected="a count of at least 1", received=width)
    if pooling is not None:
        checks.one_of("pooling", pooling, ("avg",))
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("torch")(image)
    if small_stem or (small_stem is None and image_size <= SMALL):
        x = layers.ReLU(name="conv1_relu")(_convolution(x, width, 3, 1, "conv1"))
    else:
        x = layers.ReLU(name="conv1_relu")(_convolution(x, width, 7, 2, "conv1"))
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros do: what comes out of ReLU is not below them
        x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage in range(1, 5):
        for block in (1, 2):
            x = _block(x, width << (stage - 1), 2 if stage > 1 and block == 1 else 1, f"stage{stage}_block{block}")
    if pooling:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, x, name="ResNet18")


def _block(x, width: int, stride: int, name: str):
    entry = x
    x = layers.ReLU(name=f"{name}_relu1")(_convolution(x, width, 3, stride, f"{name}_conv1"))
    x = _convolution(x, width, 3, 1, f"{name}_conv2")
    if stride > 1 or entry.shape[-1] != width:
        entry = _convolution(entry, width, 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, entry]))


def _convolution(x, width: int, size: int, stride: int, name: str):
    if stride > 1 and size > 1:  # as much padding on either side, which 'same' has not at a stride
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    padding = "same" if stride == 1 else "valid"
    # initial values: He et al. 2015 (arXiv 1502.01852)
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    x = layers.Conv2D(width, size, stride, padding, **options)(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)  # the paper's code's values
