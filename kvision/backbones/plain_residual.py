"""The networks of the ResNet paper for CIFAR, with and without shortcuts."""

import keras
from keras import layers

from kvision import checks
from kvision.backbones.resnet18 import convolution
from kvision.layers import Preprocess, ZeroPaddedShortcut

__all__ = ["plain_residual"]

_WIDTHS = (16, 32, 64)


def plain_residual(
    depth: int, *, residual: bool = True, classes: int | None = 10, image_size: int = 32, channels: int = 3
) -> keras.Model:
    """Creates a stack of 6n + 2 layers for CIFAR, with or without shortcuts.

    Three stages of n blocks have 16, 32 and 64 filters at strides 1, 2 and 4. BatchNormalization has an epsilon of 1e-5
    and a momentum of 0.9, as in the authors' code. The paper subtracts the mean of each pixel of CIFAR. Here,
    `Preprocess("torch")` subtracts ImageNet's mean color instead, and the first BatchNormalization removes the effect
    of its scaling. Layers are named `conv1*`, `stage1_block1_*` and so on. The paper trains for 64,000 steps with SGD,
    momentum 0.9, weight decay 1e-4 and batches of 128. The learning rate starts at 0.1 and is divided by 10 after
    32,000 and 48,000 steps.

    Args:
        depth: Number of layers with weights: 8, 14, 20, 32, 44, 56, 110 ...
        residual: True for shortcuts of option A, which have no parameters. False for no shortcuts.
        classes: Number of classes, at least 2. `None` leaves out the classifier.
        image_size: Height and width in pixels.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to probabilities
        `(batch, classes)`. Without a classifier the model returns features `(batch, h, w, 64)` with h = w =
        ceil(image_size / 4). With 10 classes the model has 271,098 parameters at depth 20, 857,082 at depth 56 and
        1,736,058 at depth 110. These numbers include the statistics of BatchNormalization.

    Raises:
        UserError: If the depth is not 6n + 2 with n >= 1, or there are fewer than 2 classes.

    Example:
        >>> kv.backbones.plain_residual(8, classes=None).output_shape
        (None, 8, 8, 64)

    References:
        He et al. 2016, arXiv 1512.03385, section 4.2.
    """
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise checks.UserError("depth", expected="6n + 2 layers: 8, 14, 20, 32, 44, 56, 110 ...", received=depth)
    if classes is not None and classes < 2:
        raise checks.UserError("classes", expected="at least 2, or None for no classifier", received=classes)
    image = keras.Input((image_size, image_size, channels), name="image")
    x = convolution(Preprocess("torch")(image), 16, 3, 1, "conv1")
    x = layers.ReLU(name="conv1_relu")(x)
    for stage, width in enumerate(_WIDTHS, 1):
        for block in range(1, (depth - 2) // 6 + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, width, stride, f"stage{stage}_block{block}", residual=residual)
    if classes is not None:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    # The prefix "Cifar" avoids the names ResNet50 and ResNet152 of other networks.
    return keras.Model(image, x, name=f"Cifar{'ResNet' if residual else 'Plain'}{depth}")


def _block(x, width: int, stride: int, name: str, *, residual: bool):
    entry = x
    x = layers.ReLU(name=f"{name}_relu1")(convolution(x, width, 3, stride, f"{name}_conv1"))
    x = convolution(x, width, 3, 1, f"{name}_conv2")
    if residual:
        if stride > 1:
            entry = ZeroPaddedShortcut(width, stride=stride, name=f"{name}_shortcut")(entry)
        x = layers.Add(name=f"{name}_add")([x, entry])
    return layers.ReLU(name=f"{name}_relu2")(x)
