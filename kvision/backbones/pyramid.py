"""One feature map a stride, of any backbone."""

from collections.abc import Sequence

import keras

from kvision import checks
from kvision.backbones.trunk import graph, taps
from kvision.layers import Pyramid

__all__ = ["pyramid"]


def pyramid(backbone: keras.Model, strides: Sequence[int] | None = None) -> Pyramid:
    """Feature maps of a backbone by stride, the finest first: image (B, H, W, 3) -> [(B, h, w, D), ...].

    backbone: of `create`, a constructor of `keras.applications` (include_top=False or True), or your own functional or
    Sequential model; pooling and dense layers at its end are left out. It shares its weights. strides: such as
    (4, 8, 16, 32), in rising order; None takes all that exist (ConvNeXt begins at 4, VGG at 1, a ViT has 16 alone).
    The tap of a stride is the last tensor of that size that every path crosses, padding skipped; in Xception and
    NASNet, whose blocks overlap, the widest that enters a smaller size. Two are not what a paper would name:
    ResNetV2's is the raw sum (give it a normalization and ReLU), DenseNet's the transition of half the width.
    Returns a functional model with a list of outputs and the attributes `strides`, `channels` and
    `sizes(height, width)`, true at odd sizes too. All are read off the graph: they survive saving. NASNet decides its
    padding when it is built: give it a fixed image size.
    Raises UserError for a stride that is missing or stands hidden in a nested model, naming those that exist.
    """
    model = graph(backbone)
    found = {tap.stride: tap.tensor for tap in taps(model)}
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
