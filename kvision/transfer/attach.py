"""Backbone + head -> one model."""

import keras
from sklearn.base import BaseEstimator

from kvision import checks, heads
from kvision.layers import Body

__all__ = ["attach"]


def attach(backbone: keras.Model, head, *, augment: keras.layers.Layer | None = None) -> keras.Model:
    """Joins a backbone and a classifier: `image` (B, S, S, 3) in [0, 255] -> probabilities (B, C) float32.

    backbone: images -> (B, D), or (B, h, w, D), which is averaged over h and w. head: a fitted `kv.heads` head, a
    fitted scikit-learn classifier of the linear, tree or KNN families (others are refused by name), a Keras layer
    (B, D) -> (B, C), or the number of classes C >= 2 for a new softmax layer, which is what fine-tuning starts from.
    augment: a layer (or `keras.Sequential`) of random changes to images in [0, 255], such as
    `keras.layers.RandomFlip("horizontal")`; it works in training alone, and no export holds it. Keras' own draw the
    same changes on every replica, so that several differ from one device in what they draw.
    The backbone becomes the layer `body`: inference mode until `kv.schedules` says otherwise.
    """
    if len(backbone.inputs) != 1 or len(backbone.outputs) != 1:
        raise checks.error("backbone", expected="a model with one input and one output", received=backbone.name)
    image = keras.Input(backbone.input_shape[1:], name="image")
    features = Body(backbone)(image if augment is None else augment(image))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    if len(features.shape) != 2:
        raise checks.error("backbone", expected="an output (B, D) or (B, h, w, D)", received=backbone.output_shape)
    return keras.Model(image, _layer(head)(features), name=f"{backbone.name}_classifier")


def _layer(head) -> keras.layers.Layer:
    if isinstance(head, keras.layers.Layer):
        return head
    if isinstance(head, int) and not isinstance(head, bool) and head >= 2:
        return keras.layers.Dense(head, activation="softmax", dtype="float32", name="probabilities")
    if hasattr(head, "to_layer"):
        return head.to_layer()
    if isinstance(head, BaseEstimator):
        return heads.from_sklearn(head)
    raise checks.error(
        "head",
        expected="a fitted head or scikit-learn classifier, a Keras layer, or the number of classes (2 or more)",
        received=head,
    )
