"""Joins a backbone and a head into one model."""

from numbers import Integral
from typing import Any

import keras
from sklearn.base import BaseEstimator

from kvision import checks, heads
from kvision.layers import Body
from kvision.training.single import single

__all__ = ["attach"]


def attach(backbone: keras.Model, head: Any, *, augment: keras.layers.Layer | None = None) -> keras.Model:
    """Joins a backbone and a classifier into one model.

    The backbone becomes the layer `body`, which stays in inference mode until `kv.schedules.freeze` or
    `kv.schedules.fit` changes that.

    Args:
        backbone: A model from images to features `(batch, width)` or to a feature map. A feature map is averaged over
            height and width.
        head: The number of classes, 2 or more, for a new softmax layer, the usual start of fine-tuning. Or one of
            these: a fitted head of `kv.heads`, a fitted scikit-learn classifier that `kv.heads.from_sklearn` can
            convert, or a Keras layer from features to probabilities.
        augment: A layer or a `keras.Sequential` that augments images in [0, 255], such as
            `keras.layers.RandomFlip("horizontal")`. It is active only in training and is not exported. Keras' own
            layers draw the same random numbers on every replica.

    Returns:
        A model from `image`, `(batch, height, width, 3)` in [0, 255], to probabilities `(batch, classes)`, float32.

    Raises:
        UserError: If the arguments are swapped, the head was fitted on a different number of features, or the backbone
            or the head is of a kind that is not listed above.

    Example:
        >>> backbone = kv.backbones.create("ResNet20", weights=None, image_size=32, pooling="avg")
        >>> model = kv.transfer.attach(backbone, 3)
        >>> model.output_shape
        (None, 3)
    """
    _check_order(backbone, head)
    backbone = single(backbone)
    image = keras.Input(backbone.input_shape[1:], name="image")
    features = Body(backbone)(image if augment is None else augment(image))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    if len(features.shape) != 2:
        expected = "an output (batch, width) or (batch, height, width, channels)"
        raise checks.UserError("backbone", expected=expected, received=backbone.output_shape)
    layer = _layer(head)
    fitted_on = getattr(head, "n_features_in_", features.shape[1])
    if fitted_on != features.shape[1]:
        raise checks.UserError(
            "head",
            problem=f"was fitted on {fitted_on} features",
            expected=f"{features.shape[1]} features, the output of '{backbone.name}'",
            received=type(head).__name__,
            hint="Fit it on kv.features.embed(backbone, images)",
        )
    return keras.Model(image, layer(features), name=f"{backbone.name}_classifier")


def _check_order(backbone: Any, head: Any) -> None:
    """Raises if the backbone is not a model of images."""
    if isinstance(backbone, keras.Model) and not _takes_features(backbone):
        return
    swapped = isinstance(head, keras.Model) and not _takes_features(head)
    raise checks.UserError(
        "backbone",
        expected="a keras.Model from images to features",
        received=getattr(backbone, "name", backbone),
        hint="The arguments are swapped: call kv.transfer.attach(backbone, head)" if swapped else "",
    )


def _takes_features(model: keras.Model) -> bool:
    shape = getattr(model, "input_shape", None)
    return isinstance(shape, tuple) and len(shape) == 2


def _layer(head: Any) -> keras.layers.Layer:
    if isinstance(head, keras.layers.Layer):
        return head
    if isinstance(head, Integral) and not isinstance(head, bool) and head >= 2:
        return keras.layers.Dense(int(head), activation="softmax", dtype="float32", name="probabilities")
    if hasattr(head, "to_layer") and not isinstance(head, type):
        return head.to_layer()
    if isinstance(head, BaseEstimator):
        try:
            return heads.from_sklearn(head)
        except checks.UserError as refusal:
            raise refusal.renamed("head") from None
    raise checks.UserError(
        "head",
        expected="the number of classes (2 or more), a fitted head or scikit-learn classifier, or a Keras layer",
        received=head,
    )
