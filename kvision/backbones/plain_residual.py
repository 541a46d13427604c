"""The same stack of 3x3 convolutions with and without shortcuts: what residual learning is measured on."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import BatchNormalization, Preprocess, ZeroPaddedShortcut

__all__ = ["plain_residual"]

_WIDTHS = (16, 32, 64)


def plain_residual(
    depth: int, *, residual: bool = True, classes: int | None = 10, image_size: int = 32, channels: int = 3
) -> keras.Model:
    """Creates one of CIFAR's stacks of `depth` = 6n + 2 layers, with or without shortcuts.

    Three stages of n blocks have 16, 32 and 64 filters at strides 1, 2 and 4. BatchNormalization has the epsilon 1e-5
    and the momentum .9 of the authors' code. The paper subtracts CIFAR's mean of each pixel; here `Preprocess("torch")`
    subtracts ImageNet's mean color, and the first BatchNormalization undoes its scale. Layers are named `conv1*`,
    `stage1_block1_*` ... `stage3_blockn_*`. The paper trains with SGD, momentum .9, weight decay 1e-4, batches of 128,
    and the rate .1, divided by 10 after 32k and 48k of 64k steps.

    Args:
        depth: Layers with weights: 8, 14, 20, 32, 44, 56, 110 ...
        residual: True for shortcuts of option A, which have no parameters; False for the plain stack.
        classes: Number of classes; `None` for no classifier.
        image_size: Height and width in pixels.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to probabilities
        `(batch, classes)`, or without classifier to features `(batch, h, w, 64)` with h = w = ceil(image_size / 4).
        With or without shortcuts it has 271,098 parameters at depth 20, 857,082 at 56 and 1,736,058 at 110 and 10
        classes, statistics of BatchNormalization included.

    Raises:
        kvision.UserError: If there is no network of this depth, or with fewer than 2 classes.

    References:
        He et al. 2016, arXiv 1512.03385, section 4.2.
    """
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise checks.error("depth", expected="6n + 2 layers: 8, 14, 20, 32, 44, 56, 110 ...", received=depth)
    if classes is not None and classes < 2:
        raise checks.error("classes", expected="a count of at least 2, or None for no head", received=classes)
    image = keras.Input((image_size, image_size, channels), name="image")
    x = _convolution(Preprocess("torch")(image), 16, 1, "conv1")
    x = layers.ReLU(name="conv1_relu")(x)
    for stage, width in enumerate(_WIDTHS, 1):
        for block in range(1, (depth - 2) // 6 + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, width, stride, f"stage{stage}_block{block}", residual=residual)
    if classes is not None:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
    # not ResNet50 or ResNet152, which are other networks: those of ImageNet
    return keras.Model(image, x, name=f"Cifar{'ResNet' if residual else 'Plain'}{depth}")


def _block(x, width: int, stride: int, name: str, *, residual: bool):
    entry = x
    x = layers.ReLU(name=f"{name}_relu1")(_convolution(x, width, stride, f"{name}_conv1"))
    x = _convolution(x, width, 1, f"{name}_conv2")
    if residual:
        if stride > 1:
            entry = ZeroPaddedShortcut(width, stride=stride, name=f"{name}_shortcut")(entry)
        x = layers.Add(name=f"{name}_add")([x, entry])
    return layers.ReLU(name=f"{name}_relu2")(x)


def _convolution(x, width: int, stride: int, name: str):
    # initial values: He et al. 2015 (arXiv 1502.01852)
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    if stride > 1:  # 'same' would look at the pixels 1, 3, 5 ...; the shortcut, and the paper's convolution, at 0, 2, 4
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        x = layers.Conv2D(width, 3, stride, "valid", **options)(x)
    else:
        x = layers.Conv2D(width, 3, 1, "same", **options)(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)  # the paper's code's values
