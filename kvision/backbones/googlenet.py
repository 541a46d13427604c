"""GoogLeNet, the first Inception network, with its two auxiliary classifiers."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import LocalResponseNorm, Preprocess

__all__ = ["LOSS_WEIGHTS", "SMALLEST_AUXILIARY", "googlenet"]

LOSS_WEIGHTS = {"main": 1.0, "aux1": 0.3, "aux2": 0.3}  # section 5
SMALLEST_AUXILIARY = 65  # pixels; the auxiliary classifiers pool 5 x 5 pixels of a map of stride 16

# Table 1: filters of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection.
_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_AUXILIARY = {"4a": "aux1", "4d": "aux2"}


def googlenet(
    *, classes: int | None = 1000, image_size: int = 224, channels: int = 3, auxiliary: bool = True
) -> keras.Model:
    """Creates GoogLeNet, without batch normalization and with branches of 5x5 convolutions.

    To train the model, import `LOSS_WEIGHTS` from `kvision.backbones.googlenet`, and compile the model with
    `loss=dict.fromkeys(LOSS_WEIGHTS, ...)` and `loss_weights=LOSS_WEIGHTS`. Pass the labels as a dictionary with the
    same keys. After training, `inference(model)` returns the model without auxiliary classifiers. The paper states
    neither the initial values nor the constants of the normalization. Here, the initial values are those of Keras, and
    the constants are those of AlexNet. Layers are named `conv1` to `conv3`, `inception_3a_*` to `inception_5b_*`,
    `aux1_*`, `aux2_*` and `main_*`.

    Args:
        classes: Number of classes, at least 2. `None` leaves out all classifiers.
        image_size: Height and width in pixels, at least 65 with auxiliary classifiers.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.
        auxiliary: Whether the model has auxiliary classifiers, which help in training.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to a dictionary of
        probabilities `(batch, classes)` with the keys "main", "aux1" and "aux2". Without auxiliary classifiers it
        returns only the main probabilities. Without any classifier it returns a feature map `(batch, h, w, 1024)` of
        stride 32. With 1000 classes the model has 13,378,280 parameters, or 6,998,552 without auxiliary classifiers.

    Raises:
        UserError: If there are fewer than 2 classes or the image is too small.

    Example:
        >>> model = kv.backbones.googlenet(classes=10, image_size=65)
        >>> model.output["aux1"].shape
        (None, 10)

    References:
        Szegedy et al. 2015, arXiv 1409.4842, table 1 and figure 3.
    """
    if classes is not None and classes < 2:
        raise checks.UserError("classes", expected="at least 2, or None for no classifier", received=classes)
    auxiliary = auxiliary and classes is not None
    if auxiliary and image_size < SMALLEST_AUXILIARY:
        raise checks.UserError(
            "image_size",
            expected=f"at least {SMALLEST_AUXILIARY} (pixels) for the auxiliary classifiers",
            received=image_size,
            hint="Pass auxiliary=False for smaller images",
        )
    image = keras.Input((image_size, image_size, channels), name="image")
    x = _convolution(Preprocess("caffe")(image), 64, 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = LocalResponseNorm(name="norm1")(x)
    x = _convolution(_convolution(x, 64, 1, "conv2"), 192, 3, "conv3")
    x = LocalResponseNorm(name="norm2")(x)
    x = layers.MaxPooling2D(3, 2, "same", name="pool2")(x)
    outputs = {}
    for block, widths in _INCEPTIONS.items():
        x = _inception(x, widths, f"inception_{block}")
        if block in ("3b", "4e"):
            x = layers.MaxPooling2D(3, 2, "same", name=f"pool{block[0]}")(x)
        if auxiliary and block in _AUXILIARY:
            outputs[_AUXILIARY[block]] = _auxiliary(x, classes, _AUXILIARY[block])
    if classes is None:
        return keras.Model(image, x, name="GoogLeNet")
    x = layers.GlobalAveragePooling2D(name="main_pool")(x)
    x = layers.Dropout(0.4, name="main_dropout")(x)
    main = _probabilities(x, classes, "main")
    return keras.Model(image, {"main": main, **outputs} if auxiliary else main, name="GoogLeNet")


def _convolution(x, filters: int, kernel: int, name: str, *, strides: int = 1):
    return layers.Conv2D(filters, kernel, strides, "same", activation="relu", name=name)(x)


def _inception(x, widths: tuple[int, ...], name: str):
    """Figure 2 (b): four parallel branches."""
    ones, reduce3, threes, reduce5, fives, projection = widths
    return layers.Concatenate(name=f"{name}_join")(
        [
            _convolution(x, ones, 1, f"{name}_1x1"),
            _convolution(_convolution(x, reduce3, 1, f"{name}_3x3_reduce"), threes, 3, f"{name}_3x3"),
            _convolution(_convolution(x, reduce5, 1, f"{name}_5x5_reduce"), fives, 5, f"{name}_5x5"),
            _convolution(layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x), projection, 1, f"{name}_project"),
        ]
    )


def _auxiliary(x, classes: int, name: str):
    """Section 5: average pooling of 5x5 and stride 3, 1x1 convolution of 128, dense layer of 1024, dropout of 70 %."""
    x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(_convolution(x, 128, 1, f"{name}_conv"))
    x = layers.Dense(1024, activation="relu", name=f"{name}_dense")(x)
    return _probabilities(layers.Dropout(0.7, name=f"{name}_dropout")(x), classes, name)


def _probabilities(x, classes: int, name: str):
    return layers.Dense(classes, activation="softmax", dtype="float32", name=name)(x)
