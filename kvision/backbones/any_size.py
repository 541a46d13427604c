"""The same network for images of any size."""

import re

import keras

from kvision import checks
from kvision.backbones.trunk import graph

__all__ = ["any_size", "at_size"]

_LARGER = (64, 67)  # pixels: a size that every stride divides as before, and one that none does, nor do halves of it


def any_size(backbone: keras.Model) -> keras.Model:
    """image (B, S, S, C) of one size -> a model of the same layers and weights for images (B, H, W, C) of any size.

    backbone: functional or Sequential, as `create` makes it; one that takes any size already is returned as it is.
    Padding that was computed for S stays what it was: of an even S, as it is for unknown sizes. What looks at the whole
    image (squeeze-and-excitation) looks at the larger one.
    Raises UserError for a model that is not functional, and where a layer takes one size alone (Flatten and Dense), or
    even ones (CSPDarkNet's stem).
    """
    model = graph(backbone)
    if tuple(model.inputs[0].shape[1:3]) == (None, None):
        return backbone
    return _cloned(model, None)


def at_size(backbone: keras.Model, size: int) -> keras.Model:
    """As `any_size`, for images (B, size, size, C) alone, which more layers take than unknown sizes: a ViT does."""
    return _cloned(graph(backbone), size)


def _cloned(model: keras.Model, side: int | None) -> keras.Model:
    """The model for images of another side; None: of any."""
    _, before, _, channels = model.inputs[0].shape
    try:
        cloned = _on((side, side, channels), model)
        if side is None:
            for tried in (before + more for more in _LARGER):
                _Traced(cloned)(keras.Input((tried, tried, channels), dtype=cloned.inputs[0].dtype))
        return cloned
    except Exception as reason:  # a layer raises what it likes
        raise checks.error(
            "backbone",
            problem=f"takes images of one size: {_told(reason)}",
            expected="a network of convolutions and pooling that takes odd sizes too",
            received=model.name,
        ) from reason


def _told(reason: Exception) -> str:
    """What the innermost layer said, of an error that those around it have wrapped."""
    inner = re.sub(r"\x1b\[\d+m", "", str(reason)).split("Exception encountered when calling ")[-1]
    return " ".join(inner.split())[:200]


class _Traced(keras.layers.Layer):
    """Runs a model in the backend's tracer, whose operations check shapes that layers do not know or look at."""

    def __init__(self, model: keras.Model):
        super().__init__()
        self.model = model

    def call(self, image):
        return self.model(image, training=False)


def _on(shape: tuple, model: keras.Model) -> keras.Model:
    image = keras.Input(shape, name=model.inputs[0].name, dtype=model.inputs[0].dtype)
    inputs = keras.tree.pack_sequence_as(model.input, [image])  # some keep their one input in a list
    cloned = keras.models.clone_model(model, input_tensors=inputs, clone_function=_opened)
    return keras.Model(image, cloned.outputs[0], name=model.name)


def _opened(layer):
    inner = isinstance(layer, keras.Model) and len(layer.inputs) == 1 and len(layer.inputs[0].shape) == 4
    return any_size(layer) if inner else layer
