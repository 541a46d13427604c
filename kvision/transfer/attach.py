"""A backbone and a head become one model."""

from numbers import Integral
from typing import Any

import keras
from sklearn.base import BaseEstimator

from kvision import checks, heads
from kvision.layers import Body
from kvision.training.single import single

__all__ = ["attach"]


def attach(backbone: keras.Model, head: Any, *, augment: keras.layers.Layer | None = None) -> keras.Model:
    """Joins a backbone and a classifier.

    The backbone becomes the layer `body`, which stays in inference mode until `kv.schedules` says otherwise.

    Args:
        backbone: A model from images to features `(batch, width)`, or to a feature map, which is averaged over height
            and width.
        head: A fitted head of `kv.heads`; a fitted scikit-learn classifier that `kv.heads.from_sklearn` converts; a
            Keras layer from features to probabilities; or the number of classes, 2 or more, for a new softmax layer,
            which is what fine-tuning starts from.
        augment: A layer (or `keras.Sequential`) of random changes to images in [0, 255], such as
            `keras.layers.RandomFlip("horizontal")`. It works in training alone, and no export holds it. Keras' own
            layers draw the same changes on every replica.

    Returns:
        A model from `image`, `(batch, size, size, 3)` in [0, 255], to probabilities `(batch, classes)` float32.

    Raises:
        kvision.UserError: If the arguments are swapped, the head was fitted on another number of features, or the
            backbone or the head is of another kind.
        sklearn.exceptions.NotFittedError: If the head is not fitted.
    """
    _check_order(backbone, head)
    backbone = single(backbone)
    image = keras.Input(backbone.input_shape[1:], name="image")
    features = Body(backbone)(image if augment is None else augment(image))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    if len(features.shape) != 2:
        raise checks.error("backbone", expected="an output (B, D) or (B, h, w, D)", received=backbone.output_shape)
    layer = _layer(head)
    fitted_on = getattr(head, "n_features_in_", features.shape[1])
    if fitted_on != features.shape[1]:
        raise checks.error(
            "head",
            problem=f"was fitted on {fitted_on} features",
            expected=f"{features.shape[1]} features, as '{backbone.name}' gives",
            received=type(head).__name__,
            hint="Fit it on kv.features.embed(backbone, images)",
        )
    return keras.Model(image, layer(features), name=f"{backbone.name}_classifier")


def _check_order(backbone: Any, head: Any) -> None:
    """Raises where the backbone is no model of images, and says so if the head is one."""
    if isinstance(backbone, keras.Model) and not _takes_features(backbone):
        return
    swapped = isinstance(head, keras.Model) and not _takes_features(head)
    raise checks.error(
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
        return heads.from_sklearn(head)
    raise checks.error(
        "head",
        expected="a fitted head or scikit-learn classifier, a Keras layer, or the number of classes (2 or more)",
        received=head,
    )
