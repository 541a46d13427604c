"""One feature map a stride, of any backbone."""

from collections.abc import Sequence

import keras

from kvision import checks
from kvision.backbones.trunk import graph, taps
from kvision.layers import Pyramid

__all__ = ["pyramid"]


def pyramid(backbone: keras.Model, strides: Sequence[int] | None = None, *, narrow: bool = False) -> Pyramid:
    """Creates a model that returns one feature map of a backbone for each stride.

    The map of a stride is the last tensor of its size that every path from the image to the output crosses, padding
    skipped. Xception and NASNet have no such tensor, since their blocks overlap: there it is the widest tensor that
    enters a smaller size. Two maps are not what a paper would name: that of ResNetV2 is the raw sum, which needs a
    normalization and ReLU, and that of DenseNet is the transition of half the width.

    In networks of inverted residual blocks (EfficientNet, MobileNetV2 and V3) the last tensor of a size is the output
    of a 1x1 convolution that widens a map of few channels: the expansion of the next block, and at the end the layer
    that prepares the classifier. `narrow=True` returns the map before this convolution, which holds the same
    information in 4 to 6 times fewer channels.

    Args:
        backbone: A model of `create`, of a constructor of `keras.applications` (with or without its top), or your own
            functional or Sequential model. Pooling and dense layers at its end are left out. Weights are shared.
        strides: Strides in rising order, such as `(4, 8, 16, 32)`. If None, all that exist: ConvNeXt begins at 4, VGG
            at 1, and a ViT has 16 alone.
        narrow: If True, each map is the one of fewest channels from which the map of the stride is computed pixel by
            pixel, that is by 1x1 convolutions of stride 1, batch normalization, activations and dropout.

    Returns:
        A functional model from images `(batch, height, width, channels)` to a list of maps, the finest first, with the
        attributes `strides`, `channels` and `sizes(height, width)`. They are read off the graph, are true at odd sizes
        too, and survive saving. NASNet decides its padding when it is built: give it a fixed image size.

    Raises:
        kvision.UserError: If a stride is missing or hidden in a nested model. The message names the strides that exist.
    """
    model = graph(backbone)
    found = {tap.stride: tap.narrow if narrow else tap.tensor for tap in taps(model)}
    hidden = [layer.name for layer in model.layers if _hides_strides(layer)]
    wanted = tuple(found) if strides is None else tuple(strides)
    missing = [stride for stride in wanted if stride not in found]
    if missing or not wanted or (strides is None and hidden) or wanted != tuple(sorted(set(wanted))):
        raise checks.error(
            "strides",
            problem=f"are not all to be seen in '{backbone.name}'" if missing or hidden else "",
            expected=f"rising ones out of {tuple(found)}, which '{backbone.name}' has",
            received=strides,
            hint=f"'{hidden[0]}' is a model inside it that hides its own: pass that one itself" if hidden else "",
        )
    return Pyramid(model.inputs[0], [found[stride] for stride in wanted], name=backbone.name)


def _hides_strides(layer: keras.layers.Layer) -> bool:
    try:
        return isinstance(layer, keras.Model) and len(taps(graph(layer))) > 1
    except checks.UserError:  # a nested model of vectors, say
        return False
