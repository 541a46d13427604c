"""Finds the stages of a backbone. `kv.schedules` freezes a backbone stage by stage."""

import itertools

import keras

from kvision.backbones.trunk import graph, taps
from kvision.backbones.zoo import ZOO

__all__ = ["stages"]


def stages(backbone: keras.Model) -> dict[str, str]:
    """Returns the first layer of each stage of a backbone.

    A stage contains the layers that run at one stride, and the stem belongs to the first stage. A stage begins with the
    first layer with weights that comes after the feature map of the previous stride (see `kv.backbones.pyramid`). Most
    networks have five stages of strides 2, 4, 8, 16 and 32. VGG has the strides 1, 2, 4, 8 and 16. ConvNeXt has four
    stages. AlexNet has three stages of strides 4, 8 and 16. The networks for CIFAR have three stages of strides 1, 2
    and 4.

    Two kinds of networks are divided differently. The stages of EfficientNet, MobileNetV2 and MobileNetV3 begin with a
    whole inverted residual block, although its stride is inside the block. A ViT has only one stride. Its stages are
    four groups of blocks.

    Args:
        backbone: A model of `kv.backbones.create` or of `keras.applications`, or your own functional or Sequential
            model.

    Returns:
        A dictionary from "stage1", "stage2", ... to the name of the first layer of the stage.

    Raises:
        UserError: If the model is not functional.

    Example:
        >>> kv.backbones.stages(kv.backbones.create("ResNet20"))
        {'stage1': 'image', 'stage2': 'stage2_block1_conv1', 'stage3': 'stage3_block1_conv1'}
    """
    model = graph(backbone)
    names = [layer.name for layer in model.layers]
    known = ZOO[backbone.name].stages if backbone.name in ZOO else ()
    starts = _named(names, known) or _by_stride(model)
    return {f"stage{i}": start for i, start in enumerate([_first(backbone.layers[0]).name, *starts], 1)}


def _named(names: list[str], prefixes: tuple[str, ...]) -> list[str]:
    found = [next((name for name in names if name.startswith(prefix)), None) for prefix in prefixes]
    return [] if None in found else [name for name in found if name]  # a different model can have the same name


def _by_stride(model: keras.Model) -> list[str]:
    order = model.operations
    ends = [order.index(tap.operation) for tap in taps(model)]
    weighted = [
        [layer for layer in order[start + 1 : end + 1] if getattr(layer, "weights", None)]
        for start, end in itertools.pairwise(ends)
    ]
    return [_first(layers[0]).name for layers in weighted if layers]


def _first(layer: keras.layers.Layer) -> keras.layers.Layer:
    while isinstance(layer, keras.Model):
        layer = next((inner for inner in layer.layers if inner.weights), layer.layers[0])
    return layer
