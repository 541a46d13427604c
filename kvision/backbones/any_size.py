"""Rebuilds a backbone with the same weights for different image sizes."""

import re

import keras

from kvision import checks
from kvision.backbones.trunk import graph

__all__ = ["any_size", "at_size"]

# Pixels that are added to the old size for two tests: one size with the same remainders for all strides, and one size
# with different remainders.
_LARGER = (64, 67)


def any_size(backbone: keras.Model) -> keras.Model:
    """Creates a model with the same layers and weights that accepts images of any size.

    The new model keeps the padding that Keras computed for the old image size. If the old size is even, this padding
    equals the padding that Keras uses for unknown sizes. Layers that use the whole image, such as
    squeeze-and-excitation, use the whole image at every size.

    Args:
        backbone: A functional or Sequential model, such as one of `kv.backbones.create`.

    Returns:
        A model from images `(batch, height, width, channels)` of any size. If `backbone` already accepts any size,
        `backbone` itself is returned. Both models share their weights.

    Raises:
        UserError: If the model is not functional, if a layer needs a fixed image size (such as Flatten with Dense), or
            if a layer needs an even image size (such as the stem of CSPDarkNet).

    Example:
        >>> backbone = kv.backbones.plain_residual(8, classes=None)
        >>> kv.backbones.any_size(backbone).input_shape
        (None, None, None, 3)
    """
    model = graph(backbone)
    if tuple(model.inputs[0].shape[1:3]) == (None, None):
        return backbone
    return _cloned(model, None)


def at_size(backbone: keras.Model, size: int) -> keras.Model:
    """Creates a model with the same layers and weights for a different image size.

    Some models, such as a ViT, work at any fixed size but not at unknown sizes. Use this function for them, because
    `kv.backbones.any_size` does not accept them.

    Args:
        backbone: A functional or Sequential model, such as one of `kv.backbones.create`.
        size: Height and width of the images in pixels.

    Returns:
        A model from images `(batch, size, size, channels)`. Both models share their weights.

    Raises:
        UserError: If the model is not functional, or a layer does not accept this size.

    Example:
        >>> backbone = kv.backbones.vit(depth=1, width=16, heads=2, image_size=32)
        >>> kv.backbones.at_size(backbone, 64).output_shape
        (None, 4, 4, 16)
    """
    return _cloned(graph(backbone), size)


def _cloned(model: keras.Model, side: int | None) -> keras.Model:
    """Creates the model for images of `side` pixels, or for images of any size if `side` is None."""
    _, before, _, channels = model.inputs[0].shape
    try:
        cloned = _on((side, side, channels), model)
        if side is None:
            for tried in (before + more for more in _LARGER):
                _Traced(cloned)(keras.Input((tried, tried, channels), dtype=cloned.inputs[0].dtype))
        return cloned
    except Exception as reason:  # layers raise exceptions of any class
        raise checks.UserError(
            "backbone",
            problem=f"takes images of one size: {_told(reason)}",
            expected="a network of convolutions and pooling that accepts odd sizes too",
            received=model.name,
        ) from reason


def _told(reason: Exception) -> str:
    """Returns the message of the innermost layer, without the text that the outer layers add."""
    inner = re.sub(r"\x1b\[\d+m", "", str(reason)).split("Exception encountered when calling ")[-1]
    return " ".join(inner.split())[:200]


class _Traced(keras.layers.Layer):
    """Traces a model with the backend's operations, which check shapes that Keras layers do not check."""

    def __init__(self, model: keras.Model):
        super().__init__()
        self.model = model

    def call(self, image):
        return self.model(image, training=False)


def _on(shape: tuple, model: keras.Model) -> keras.Model:
    image = keras.Input(shape, name=model.inputs[0].name, dtype=model.inputs[0].dtype)
    inputs = keras.tree.pack_sequence_as(model.input, [image])  # some models keep their only input in a list
    cloned = keras.models.clone_model(model, input_tensors=inputs, clone_function=_opened)
    return keras.Model(image, cloned.outputs[0], name=model.name)


def _opened(layer):
    inner = isinstance(layer, keras.Model) and len(layer.inputs) == 1 and len(layer.inputs[0].shape) == 4
    return any_size(layer) if inner else layer
