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
    """Creates a ResNet-18 of any width, with shortcuts of option B.

    Four stages of two blocks have 1, 2, 4 and 8 times `width` filters. Layers are named `conv1*`, `stage1_block1_*` ...
    `stage4_block2_*`. Pixels are normalized inside by `Preprocess("torch")`. Where a shortcut strides, a pooling of one
    pixel picks the pixels before its 1x1 convolution.

    Args:
        width: Filters of the first stage.
        image_size: Height and width in pixels.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.
        pooling: `None` returns the last feature map, `"avg"` a feature vector.
        small_stem: True for a 3x3 convolution of stride 1 without max-pool, as SimCLR has it for CIFAR-10; the strides
            are then 1, 2, 4, 8. False for 7x7 of stride 2 and a max-pool, with strides 4, 8, 16, 32. `None` means True
            for images of up to 64 pixels.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to features
        `(batch, h, w, 8 * width)` or `(batch, 8 * width)`. At width 64 it has 11,186,112 parameters (torchvision's
        11,176,512 and 9,600 moving statistics), with the small stem 11,178,432; at width 16 it has 702,576.

    Raises:
        kvision.UserError: If the width is below 1, or for another pooling.

    References:
        He et al. 2016, arXiv 1512.03385, table 1; the small stem: Chen et al. 2020, arXiv 2002.05709, appendix B.9.
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
        if stride > 1:
            # A 1x1 convolution of stride 2 is the same function, but TensorFlow's oneDNN gradient of it writes outside
            # its memory where the input has fewer than 16 channels.
            entry = layers.AveragePooling2D(1, stride, name=f"{name}_shortcut_pool")(entry)
        entry = _convolution(entry, width, 1, 1, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, entry]))


def _convolution(x, width: int, size: int, stride: int, name: str):
    if stride > 1:  # as much padding on either side, which 'same' has not at a stride
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    padding = "same" if stride == 1 else "valid"
    # initial values: He et al. 2015 (arXiv 1502.01852)
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    x = layers.Conv2D(width, size, stride, padding, **options)(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)  # the paper's code's values
