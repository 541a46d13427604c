"""ResNet-18 of any width, with a stem that depends on the image size."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import BatchNormalization, Preprocess

__all__ = ["convolution", "resnet18"]

SMALL = 64  # pixels; the stem does not shrink images up to this size


def resnet18(
    *,
    width: int = 64,
    image_size: int = 224,
    channels: int = 3,
    pooling: str | None = None,
    small_stem: bool | None = None,
) -> keras.Model:
    """Creates a ResNet-18 of any width, with shortcuts of option B.

    Four stages of two blocks have 1, 2, 4 and 8 times `width` filters. Layers are named `conv1*`, and `stage1_block1_*`
    to `stage4_block2_*`. Pixels are normalized inside the model by `Preprocess("torch")`. In a shortcut with stride 2,
    a pooling over one pixel selects every second pixel before the 1x1 convolution.

    Args:
        width: Number of filters of the first stage, at least 1.
        image_size: Height and width in pixels.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.
        pooling: `None` returns the last feature map. `"avg"` returns a feature vector.
        small_stem: True for a 3x3 convolution of stride 1 without max-pooling, as in SimCLR for CIFAR-10. The stages
            then have the strides 1, 2, 4 and 8. False for a 7x7 convolution of stride 2 and a max-pooling. The stages
            then have the strides 4, 8, 16 and 32. `None` means True for images of up to 64 pixels, and False for larger
            images.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to features
        `(batch, h, w, 8 * width)` or `(batch, 8 * width)`. With width 64 the model has 11,186,112 parameters:
        11,176,512 as in torchvision, and 9,600 moving statistics. With the small stem the model has 11,178,432
        parameters at width 64, and 702,576 at width 16.

    Raises:
        UserError: If the width is below 1, or the pooling is unknown.

    Example:
        >>> kv.backbones.resnet18(width=4, image_size=32, pooling="avg").output_shape
        (None, 32)

    References:
        He et al. 2016, arXiv 1512.03385, table 1; the small stem: Chen et al. 2020, arXiv 2002.05709, appendix B.9.
    """
    if not isinstance(width, int) or width < 1:
        raise checks.UserError("width", expected="a count of at least 1", received=width)
    if pooling is not None:
        checks.one_of("pooling", pooling, ("avg",))
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("torch")(image)
    if small_stem or (small_stem is None and image_size <= SMALL):
        x = layers.ReLU(name="conv1_relu")(convolution(x, width, 3, 1, "conv1"))
    else:
        x = layers.ReLU(name="conv1_relu")(convolution(x, width, 7, 2, "conv1"))
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros are correct here: ReLU returns no smaller value
        x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage in range(1, 5):
        for block in (1, 2):
            x = _block(x, width << (stage - 1), 2 if stage > 1 and block == 1 else 1, f"stage{stage}_block{block}")
    if pooling:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, x, name="ResNet18")


def _block(x, width: int, stride: int, name: str):
    entry = x
    x = layers.ReLU(name=f"{name}_relu1")(convolution(x, width, 3, stride, f"{name}_conv1"))
    x = convolution(x, width, 3, 1, f"{name}_conv2")
    if stride > 1 or entry.shape[-1] != width:
        if stride > 1:
            # A 1x1 convolution of stride 2 would compute the same, but its gradient in TensorFlow's oneDNN writes
            # outside of its memory if the input has fewer than 16 channels.
            entry = layers.AveragePooling2D(1, stride, name=f"{name}_shortcut_pool")(entry)
        entry = convolution(entry, width, 1, 1, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, entry]))


def convolution(x, width: int, size: int, stride: int, name: str):
    """Applies a convolution without bias and a normalization with the constants of the authors' code."""
    if stride > 1:
        # With a stride, padding "same" pads unequally. The kernel would be centered on the pixels 1, 3, 5 ... In the
        # authors' code and in the shortcut, it is centered on the pixels 0, 2, 4 ...
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    padding = "same" if stride == 1 else "valid"
    # Initial values are those of He et al. 2015, arXiv 1502.01852.
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    x = layers.Conv2D(width, size, stride, padding, **options)(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
