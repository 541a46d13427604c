"""InceptionV3 with its classifier and, while it trains, the auxiliary one that Keras' constructor leaves out."""

from pathlib import Path

import keras
from keras import layers

from kvision import checks
from kvision.backbones.create import create
from kvision.layers import BatchNormalization

__all__ = ["LOSS_WEIGHTS", "SMALLEST_AUXILIARY", "inception_v3"]

LOSS_WEIGHTS = {"main": 1.0, "aux": 0.4}  # the paper gives none; of its authors' own training code (TF-Slim)
SMALLEST_AUXILIARY = 107  # pixels: the auxiliary head pools 5 x 5 of what is 17 x 17 at 299


def inception_v3(
    *,
    classes: int = 1000,
    image_size: int = 299,
    channels: int = 3,
    auxiliary: bool = True,
    weights: str | Path | None = None,
) -> keras.Model:
    """InceptionV3 (Szegedy et al. 2016, arXiv 1512.00567, table 1; auxiliary head: section 4 and figure 8).

    Returns a functional model `image` (B, S, S, channels) in [0, 255] -> {"main", "aux"}, each probabilities (B,
    classes): 27,179,376 parameters at 1000 classes. `inference(model)` is what serves: main alone. auxiliary=False:
    main alone from the start, 23,851,784 parameters, output (B, classes). image_size: S, at least 75, with the
    auxiliary head 107. weights: of the body, as `create("InceptionV3")` takes them; both heads begin random.

    The auxiliary head stands on the last 17 x 17 grid (`mixed7`) and has BatchNorm, as the paper says; its layers are
    those of TF-Slim and torchvision: average pool 5 x 5 of stride 3, 1 x 1 of 128, a convolution over all that is left
    (5 x 5 at 299) of 768, dense. Train with `compile(loss=dict.fromkeys(LOSS_WEIGHTS, ...), loss_weights=LOSS_WEIGHTS)`
    and the labels once for each name. Layers: Keras' names in the body, `aux_*`, `main_*`. Raises UserError for fewer
    than 2 classes, too small an image, and weights that `create` refuses.
    """
    if classes < 2:
        raise checks.error("classes", expected="a count of at least 2", received=classes)
    if auxiliary and image_size < SMALLEST_AUXILIARY:
        raise checks.error(
            "image_size",
            expected=f"at least {SMALLEST_AUXILIARY} (pixels) for the auxiliary head",
            received=image_size,
            hint="Pass auxiliary=False for a smaller one",
        )
    body = create("InceptionV3", weights=weights, image_size=image_size, channels=channels, pooling="avg")
    x = layers.Dropout(0.2, name="main_dropout")(body.output)  # as TF-Slim
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
    x = BatchNormalization(scale=False, name=f"{name}_bn")(x)  # epsilon and momentum as everywhere in Keras' body
    return layers.ReLU(name=f"{name}_relu")(x)
