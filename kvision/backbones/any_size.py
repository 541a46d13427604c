"""The same network for images of any size."""

import keras

from kvision import checks
from kvision.backbones.trunk import graph

__all__ = ["any_size"]

_LARGER = 64  # pixels, which every stride divides


def any_size(backbone: keras.Model) -> keras.Model:
    """image (B, S, S, C) of one size -> a model of the same layers and weights for images (B, H, W, C) of any size.

    backbone: functional or Sequential, as `create` makes it; one that takes any size already is returned as it is.
    Padding that was computed for S stays what it was: of an even S, as it is for unknown sizes. What looks at the whole
    image (squeeze-and-excitation) looks at the larger one.
    Raises UserError for a model that is not functional, and where a layer takes one size alone (Flatten and
    Dense).
    """
    model = graph(backbone)
    if tuple(model.inputs[0].shape[1:3]) == (None, None):
        return backbone
    side, channels = model.inputs[0].shape[1], model.inputs[0].shape[-1]
    try:
        _on((side + _LARGER, side + _LARGER, channels), model)  # unknown sizes are not checked by every layer
        return _on((None, None, channels), model)
    except Exception as reason:  # a layer raises what it likes
        raise checks.error(
            "backbone",
            problem=f"takes images of one size: {str(reason).splitlines()[0]}",
            expected="a network of convolutions and pooling",
            received=backbone.name,
        ) from reason


def _on(shape: tuple, model: keras.Model) -> keras.Model:
    image = keras.Input(shape, name=model.inputs[0].name, dtype=model.inputs[0].dtype)
    inputs = keras.tree.pack_sequence_as(model.input, [image])  # some keep their one input in a list
    cloned = keras.models.clone_model(model, input_tensors=inputs, clone_function=_opened)
    return keras.Model(image, cloned.outputs[0], name=model.name)


def _opened(layer):
    inner = isinstance(layer, keras.Model) and len(layer.inputs) == 1 and len(layer.inputs[0].shape) == 4
    return any_size(layer) if inner else layer
