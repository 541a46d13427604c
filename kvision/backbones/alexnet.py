"""AlexNet of 2012, with two groups of filters and local response normalization."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import LocalResponseNorm, Preprocess

__all__ = ["SMALLEST", "alexnet"]

SMALLEST = 67  # pixels; smaller images have no pixel left after the last pooling


def alexnet(*, classes: int | None = 1000, image_size: int = 227, channels: int = 3) -> keras.Model:
    """Creates the AlexNet of 2012. torchvision contains the later version of 2014.

    The paper subtracts a mean image from its inputs. This model subtracts the mean color instead
    (`Preprocess("caffe")`). Layers are named `conv1`, `norm1`, `pool1` to `conv5`, `pool5`, then `dense6`, `dropout6`,
    `dense7`, `dropout7` and `probabilities`. The paper trains with SGD, a learning rate of 0.01, momentum 0.9, weight
    decay 5e-4 and batches of 128 (section 5).

    Args:
        classes: Number of classes, at least 2. `None` leaves out the three dense layers.
        image_size: Height and width in pixels, at least 67. The paper states 224, but its feature maps of 55 x 55
            pixels need 227.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to probabilities
        `(batch, classes)`. Without dense layers the model returns a feature map `(batch, h, w, 256)`, with h = w = 6 at
        227 pixels. With 1000 classes and 227 pixels the model has 60,965,224 parameters.

    Raises:
        UserError: If there are fewer than 2 classes or the image is too small.

    Example:
        >>> kv.backbones.alexnet(classes=None, image_size=67).output_shape
        (None, 1, 1, 256)

    References:
        Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks,
        section 3.5.
    """
    if classes is not None and classes < 2:
        raise checks.UserError("classes", expected="at least 2, or None for no classifier", received=classes)
    if image_size < SMALLEST:
        raise checks.UserError("image_size", expected=f"at least {SMALLEST} (pixels) for AlexNet", received=image_size)
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("caffe")(image)
    # Padding "valid" and overlapping pools (3, 2) are as in sections 3.4 and 3.5. Sizes are 227, 55, 27, 13 and 6.
    x = _convolution(96, 11, "conv1", strides=4, padding="valid")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(LocalResponseNorm(name="norm1")(x))
    x = _convolution(256, 5, "conv2", groups=2, bias=1.0)(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(LocalResponseNorm(name="norm2")(x))
    x = _convolution(384, 3, "conv3")(x)  # the only convolution that connects both groups
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
    # Section 5: a normal distribution with a standard deviation of 0.01. In some layers the biases are 1, so that the
    # ReLUs get positive inputs.
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
        "bias_initializer": keras.initializers.Constant(bias),
    }


def _convolution(filters, kernel, name, *, strides=1, padding="same", groups=1, bias=0.0):
    return layers.Conv2D(filters, kernel, strides, padding, groups=groups, activation="relu", **_start(bias), name=name)
