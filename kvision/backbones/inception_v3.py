"""InceptionV3 with its classifier and the auxiliary classifier. Keras has no auxiliary classifier."""

from pathlib import Path

import keras
from keras import layers

from kvision import checks
from kvision.backbones.create import create
from kvision.layers import BatchNormalization

__all__ = ["LOSS_WEIGHTS", "SMALLEST_AUXILIARY", "inception_v3"]

LOSS_WEIGHTS = {"main": 1.0, "aux": 0.4}  # from the authors' training code (TF-Slim); the paper states no loss weights
SMALLEST_AUXILIARY = 107  # pixels; the auxiliary classifier pools 5 x 5 pixels of a map (17 x 17 for images of 299)


def inception_v3(
    *,
    classes: int = 1000,
    image_size: int = 299,
    channels: int = 3,
    auxiliary: bool = True,
    weights: str | Path | None = None,
) -> keras.Model:
    """Creates InceptionV3 with its classifier and an auxiliary classifier for training.

    To train the model, import `LOSS_WEIGHTS` from `kvision.backbones.inception_v3`, and compile the model with
    `loss=dict.fromkeys(LOSS_WEIGHTS, ...)` and `loss_weights=LOSS_WEIGHTS`. Pass the labels as a dictionary with the
    same keys. After training, `inference(model)` returns the model without the auxiliary classifier.

    The auxiliary classifier reads the last map of 17 x 17 pixels (`mixed7`) and has batch normalization, as in the
    paper. Its layers are those of TF-Slim and torchvision: an average pooling of 5 x 5 and stride 3, a 1 x 1
    convolution of 128, a convolution of 768 over the whole map and a dense layer. These layers are named `aux_*`. The
    layers of the main classifier are named `main_*`.

    Args:
        classes: Number of classes, at least 2.
        image_size: Height and width in pixels, at least 75, or at least 107 with the auxiliary classifier.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.
        auxiliary: Whether the model has the auxiliary classifier.
        weights: Weights of the backbone, in the form that `kv.backbones.create` accepts. The classifiers start at
            random values.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to a dictionary of
        probabilities `(batch, classes)` with the keys "main" and "aux". Without the auxiliary classifier the model
        returns only the main probabilities. With 1000 classes it has 27,179,376 parameters, or 23,851,784 without the
        auxiliary classifier.

    Raises:
        UserError: If there are fewer than 2 classes, the image is too small, or the weights are missing or do not fit.

    References:
        Szegedy et al. 2016, arXiv 1512.00567, table 1, section 4 and figure 8.
    """
    if classes < 2:
        raise checks.UserError("classes", expected="at least 2", received=classes)
    if auxiliary and image_size < SMALLEST_AUXILIARY:
        raise checks.UserError(
            "image_size",
            expected=f"at least {SMALLEST_AUXILIARY} (pixels) for the auxiliary classifier",
            received=image_size,
            hint="Pass auxiliary=False for smaller images",
        )
    body = create("InceptionV3", weights=weights, image_size=image_size, channels=channels, pooling="avg")
    x = layers.Dropout(0.2, name="main_dropout")(body.output)  # as in TF-Slim
    main = layers.Dense(classes, activation="softmax", dtype="float32", name="main")(x)
    if not auxiliary:
        return keras.Model(body.inputs[0], main, name=body.name)
    x = layers.AveragePooling2D(5, 3, name="aux_pool")(body.get_layer("mixed7").output)
    x = _convolution(x, 128, 1, "aux_conv1")
    x = _convolution(x, 768, x.shape[1], "aux_conv2")
    x = layers.Flatten(name="aux_flatten")(x)
    aux = layers.Dense(classes, activation="softmax", dtype="float32", name="aux")(x)
    return keras.Model(body.inputs[0], {"main": main, "aux": aux}, name=body.name)


def _convolution(x, filters: int, kernel: int, name: str):
    x = layers.Conv2D(filters, kernel, use_bias=False, name=name)(x)
    x = BatchNormalization(scale=False, name=f"{name}_bn")(x)  # the same constants as in the backbone
    return layers.ReLU(name=f"{name}_relu")(x)
