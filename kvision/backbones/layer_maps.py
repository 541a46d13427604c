"""Creates a model that returns the feature map of every layer of a backbone."""

import keras

from kvision.backbones.trunk import graph, nodes
from kvision.layers import Pyramid

__all__ = ["layer_maps"]

_POINTWISE = (keras.layers.BatchNormalization, keras.layers.Activation, keras.layers.ReLU, keras.layers.Dropout)
_WITHOUT_WEIGHTS = (
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


def layer_maps(backbone: keras.Model) -> Pyramid:
    """Creates a model that returns the feature map of every layer of a backbone, for hypercolumns.

    A map is a tensor that every path from the image to the output crosses, after its normalization and activation. In
    VGG these are the outputs of all convolutions, and in residual networks the outputs of all blocks. Padding and
    pooling layers do not count.

    Args:
        backbone: A model of `kv.backbones.create` or `kv.backbones.pyramid`, or your own functional or Sequential
            model.

    Returns:
        A `kv.layers.Pyramid` with the maps, the finest first. It shares its weights with the backbone.

    Raises:
        UserError: If the model is not functional.

    Example:
        >>> backbone = kv.backbones.plain_residual(14, classes=None)
        >>> kv.backbones.layer_maps(backbone).channels
        (16, 16, 16, 32, 32, 64, 64)
    """
    model = graph(backbone)
    ordered = nodes(model)
    last_use = {id(t): i for i, node in enumerate(ordered) for t in node.input_tensors}
    users: dict[int, list] = {}
    for node in ordered:
        for tensor in node.input_tensors:
            users.setdefault(id(tensor), []).append(node.operation)
    found, reach, learned = [], -1, False
    for i, node in enumerate(ordered):
        learned = learned or any(len(weight.shape) > 1 for weight in getattr(node.operation, "weights", ()))
        outputs = [t for t in node.output_tensors if len(t.shape) == 4]
        if reach <= i and learned and outputs and not isinstance(node.operation, _WITHOUT_WEIGHTS):
            after = users.get(id(outputs[0]), [])
            # A convolution without its normalization and activation is no feature map yet.
            if not (len(after) == 1 and isinstance(after[0], _POINTWISE)):
                found.append(outputs[0])
        reach = max([reach, *(last_use.get(id(t), -1) for t in node.output_tensors)])
    return Pyramid(model.inputs[0], found, name=backbone.name)
