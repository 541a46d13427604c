"""Removes auxiliary classifiers, which are used only in training."""

import keras

from kvision import checks

__all__ = ["inference"]


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
