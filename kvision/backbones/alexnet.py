"""AlexNet as of 2012: eight layers, two groups of filters, local response normalization."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import LocalResponseNorm, Preprocess

__all__ = ["SMALLEST", "alexnet"]

SMALLEST = 67  # pixels: one is left of 67 after the last pool, none of 66


def alexnet(*, classes: int | None = 1000, image_size: int = 227, channels: int = 3) -> keras.Model:
    """AlexNet (Krizhevsky, Sutskever & Hinton 2012, section 3.5). torchvision's is another, of 2014.

    Returns a functional model `image` (B, S, S, channels) in [0, 255] -> probabilities (B, classes), of
    60,965,224 parameters at 1000 classes and 227 pixels; classes=None leaves the three dense layers off: -> (B, h, w,
    256), h = w = 6 at 227. image_size: S, at least 67; the paper says 224, which its own 55 x 55 outputs contradict.
    Inputs are centered RGB (section 2); here less one mean color, not a mean image: `Preprocess("caffe")`.
    Layers are named `conv1 norm1 pool1 ... conv5 pool5 dense6 dropout6 dense7 dropout7 probabilities`. The paper
    trains with SGD, momentum .9, weight decay 5e-4, batches of 128, from a rate of .01 (section 5).
    Raises UserError for fewer than 2 classes or an image without a pixel left.
    """
    if classes is not None and classes < 2:
        raise checks.error("classes", expected="a count of at least 2, or None for no head", received=classes)
    if image_size < SMALLEST:
        raise checks.error("image_size", expected=f"at least {SMALLEST} (pixels) for AlexNet", received=image_size)
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("caffe")(image)
    # 'valid' and overlapping pools (3, 2) as in sections 3.4 and 3.5: 227 -> 55, 27, 13, 6
    x = _convolution(96, 11, "conv1", strides=4, padding="valid")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(LocalResponseNorm(name="norm1")(x))
    x = _convolution(256, 5, "conv2", groups=2, bias=1.0)(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(LocalResponseNorm(name="norm2")(x))
    x = _convolution(384, 3, "conv3")(x)  # the one that sees both groups
    x = _convolution(384, 3, "conv4", groups=2, bias=1.0)(x)
    x = _convolution(256, 3, "conv5", groups=2, bias=1.0)(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    if classes is not None:
        x = layers.Flatten(name="flatten")(x)
        for number in (6, 7):
            x = layers.Dense(4096, activation="relu", **_start(1.0), name=f"dense{number}")(x)
            x = layers.Dropout(0.5, name=f"dropout{number}")(x)  # section 4.2
        x = layers.Dense(classes, activation="softmax", **_start(0.0), dtype="float32", name="probabilities")(x)
    return keras.Model(image, x, name="AlexNet")


def _start(bias: float) -> dict:
    # section 5: N(0, .01); ones feed the ReLUs of conv 2, 4, 5 and of the hidden dense layers from the start
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
        "bias_initializer": keras.initializers.Constant(bias),
    }


def _convolution(filters, kernel, name, *, strides=1, padding="same", groups=1, bias=0.0):
    return layers.Conv2D(filters, kernel, strides, padding, groups=groups, activation="relu", **_start(bias), name=name)
