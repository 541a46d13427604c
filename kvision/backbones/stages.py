"""The parts that a backbone is frozen by."""

import itertools

import keras

from kvision.backbones.trunk import graph, taps
from kvision.backbones.zoo import ZOO

__all__ = ["stages"]


def stages(backbone: keras.Model) -> dict[str, str]:
    """{"stage1": name of its first layer, "stage2": ...}: a stage is what runs at one stride, the stem is in stage1.

    backbone: of `create`, a constructor of `keras.applications`, or your own functional or Sequential model. A stage
    begins at the first layer with weights, in the order of `backbone.layers`, behind the tap of the stride before
    (`kv.backbones.pyramid`): five of strides 2, 4, 8, 16, 32 for most, VGG's of 1, 2, 4, 8, 16; four in ConvNeXt; three
    of 4, 8, 16 in AlexNet and of 1, 2, 4 in ResNet20 ... Plain56. A pool without weights after it is no stage.
    Entries of the zoo may know better: EfficientNet, MobileNetV2 and V3 begin theirs with the whole inverted
    residual block, a ViT of one stride has four groups of blocks.
    Raises UserError for a model that is not functional.
    """
    model = graph(backbone)
    names = [layer.name for layer in model.layers]
    known = ZOO[backbone.name].stages if backbone.name in ZOO else ()
    starts = _named(names, known) or _by_stride(model)
    return {f"stage{i}": start for i, start in enumerate([_first(backbone.layers[0]).name, *starts], 1)}


def _named(names: list[str], prefixes: tuple[str, ...]) -> list[str]:
    found = [next((name for name in names if name.startswith(prefix)), None) for prefix in prefixes]
    return [] if None in found else [name for name in found if name]  # another model of the same name


def _by_stride(model: keras.Model) -> list[str]:
    order = model.operations
    ends = [order.index(tap.operation) for tap in taps(model)]
    weighted = [
        [layer for layer in order[start + 1 : end + 1] if getattr(layer, "weights", None)]
        for start, end in itertools.pairwise(ends)
    ]
    return [_first(layers[0]).name for layers in weighted if layers]


def _first(layer: keras.layers.Layer) -> keras.layers.Layer:
    while isinstance(layer, keras.Model):  # a model inside a model
        layer = next((inner for inner in layer.layers if inner.weights), layer.layers[0])
    return layer
