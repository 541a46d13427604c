"""Creates a model that returns one feature map of a backbone for each stride."""

from collections.abc import Sequence

import keras

from kvision import checks
from kvision.backbones.trunk import graph, taps
from kvision.layers import Pyramid

__all__ = ["pyramid"]


def pyramid(backbone: keras.Model, strides: Sequence[int] | None = None, *, narrow: bool = False) -> Pyramid:
    """Creates a model that returns one feature map of a backbone for each stride.

    The map of a stride is the last tensor of its size that every path from the image to the output crosses. Padding
    layers do not count. The blocks of Xception and NASNet overlap, so these networks have no such tensor. Their map is
    the tensor with the most channels among the tensors that enter a layer with smaller outputs. Two families have maps
    that may surprise you. The map of ResNetV2 is the sum before its normalization and ReLU. The map of DenseNet is the
    output of the transition, which has half the channels.

    In networks of inverted residual blocks (EfficientNet, MobileNetV2 and V3), the last tensor of a size is the output
    of a 1x1 convolution that increases the number of channels. `narrow=True` returns the map before this convolution,
    which contains the same information in 4 to 6 times fewer channels.

    Args:
        backbone: A model of `kv.backbones.create` or of `keras.applications` (with or without its top), or your own
            functional or Sequential model. Pooling and dense layers at its end are left out.
        strides: Strides in increasing order, such as `(4, 8, 16, 32)`. `None` returns all strides of the backbone. The
            strides of ConvNeXt begin at 4, and the strides of VGG at 1. A ViT has only the stride 16.
        narrow: Whether each map is replaced by an earlier map with fewer channels. The earlier map is the one with the
            fewest channels from which the map is computed pixel by pixel, that is by 1x1 convolutions of stride 1,
            batch normalization, activations and dropout.

    Returns:
        A `kv.layers.Pyramid`: a functional model from images `(batch, height, width, channels)` to a list of maps, the
        finest first, with the attributes `strides`, `channels` and `sizes(height, width)`. The sizes are exact for odd
        image sizes too. The model shares its weights with the backbone. NASNet needs a fixed image size, because its
        padding depends on the image size.

    Raises:
        UserError: If a stride does not exist or is inside a nested model. The message lists the strides that exist.

    Example:
        >>> model = kv.backbones.pyramid(kv.backbones.create("ResNet20"))
        >>> model.strides, model.channels, model.sizes(33, 32)
        ((1, 2, 4), (16, 32, 64), ((33, 32), (17, 16), (9, 8)))
    """
    model = graph(backbone)
    found = {tap.stride: tap.narrow if narrow else tap.tensor for tap in taps(model)}
    hidden = [layer.name for layer in model.layers if _hides_strides(layer)]
    wanted = tuple(found) if strides is None else tuple(strides)
    missing = [stride for stride in wanted if stride not in found]
    if missing or not wanted or (strides is None and hidden) or wanted != tuple(sorted(set(wanted))):
        raise checks.UserError(
            "strides",
            problem=f"do not all exist in '{backbone.name}'" if missing or hidden else "",
            expected=f"strides of '{backbone.name}' in increasing order, out of {tuple(found)}",
            received=strides,
            hint=f"'{hidden[0]}' is a nested model with strides of its own. Pass that model instead" if hidden else "",
        )
    return Pyramid(model.inputs[0], [found[stride] for stride in wanted], name=backbone.name)


def _hides_strides(layer: keras.layers.Layer) -> bool:
    try:
        return isinstance(layer, keras.Model) and len(taps(graph(layer))) > 1
    except checks.UserError:  # a nested model that takes vectors, for example
        return False
