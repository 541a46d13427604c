"""Auxiliary classifiers, which are used only in training: trains them on the same labels, and removes them."""

from collections.abc import Mapping
from typing import Any

import keras

from kvision import checks

__all__ = ["SharedLabels", "inference"]


def inference(model: keras.Model) -> keras.Model:
    """Returns a model without its auxiliary classifiers, for prediction and export.

    Args:
        model: A model of `kv.backbones.googlenet` or `kv.backbones.inception_v3`.

    Returns:
        A model from the same images to the probabilities `(batch, classes)` of the output `main`. Both models share
        their weights.

    Raises:
        UserError: If the model has no layer `main`.

    Example:
        >>> model = kv.backbones.googlenet(classes=3, image_size=65)
        >>> kv.backbones.inference(model).output_shape
        (None, 3)

    References:
        Szegedy et al. 2015, arXiv 1409.4842, section 5.
    """
    if "main" not in [layer.name for layer in model.layers]:
        expected = "a model of kv.backbones.googlenet or kv.backbones.inception_v3"
        raise checks.UserError("model", problem="has no output `main`", expected=expected, received=model.name)
    return keras.Model(model.inputs[0], model.get_layer("main").output, name=model.name)


class SharedLabels(keras.Model):
    """Trains all outputs of a classifier on the same labels, so that batches need no dictionary of labels.

    Compile it with the loss of one output. Metrics are measured on the output `main`.

    Args:
        model: A model with a dictionary of outputs, such as `kv.backbones.googlenet`.
        weights: Weight of each output in the loss, such as `LOSS_WEIGHTS` of `kvision.backbones.googlenet`.
        augment: A layer that changes images in training only.

    Example:
        >>> model = kv.backbones.googlenet(classes=3, image_size=65)
        >>> network = kv.backbones.SharedLabels(model, {"main": 1.0, "aux1": 0.3, "aux2": 0.3})
        >>> network.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])

    References:
        Szegedy et al. 2015, arXiv 1409.4842, section 5.
    """

    def __init__(self, model: keras.Model, weights: Mapping[str, float], *, augment: keras.layers.Layer | None = None):
        image = keras.Input(model.input_shape[1:], name="image")
        super().__init__(image, model(image if augment is None else augment(image)), name=model.name)
        self.classifier, self.shares = model, dict(weights)

    @property
    def served(self) -> keras.Model:
        """The classifier without auxiliary classifiers, with the same weights; see `inference`."""
        return inference(self.classifier)

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, *, metrics: Any = None, **options):
        """Compiles the model as Keras does. `loss` and `metrics` are those of one output."""
        losses, measured = dict.fromkeys(self.shares, loss), {"main": metrics or []}
        super().compile(optimizer, losses, loss_weights=self.shares, metrics=measured, **options)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, dict.fromkeys(self.shares, y), y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, dict.fromkeys(self.shares, y), y_pred, sample_weight)
