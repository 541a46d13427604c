"""Hypercolumns on any backbone: a small network for each pixel on all feature maps."""

from collections.abc import Sequence

import keras

from kvision import checks
from kvision.backbones import any_size, layer_maps, pyramid
from kvision.layers import Body, Hypercolumns

__all__ = ["hypercolumns"]


def hypercolumns(
    backbone: keras.Model,
    outputs: int,
    *,
    hidden: int = 256,
    points: bool = False,
    strides: Sequence[int] | None = None,
    every_layer: bool = False,
) -> keras.Model:
    """Creates a network that predicts each pixel from all feature maps of a backbone at its place.

    The backbone becomes the layer `body` with fixed batch statistics, as in `kv.decoders.unet`.

    Args:
        backbone: A model that `kv.backbones.pyramid` accepts. The new model shares its weights.
        outputs: Number of outputs for each pixel.
        hidden: Number of hidden units for each pixel; see `kv.layers.Hypercolumns`.
        points: Whether the model has a second input `points` and predicts these points only. Training needs a small
            part of the memory with a few hundred points for each image. The layers are the same in both forms.
        strides: Strides of the maps. None uses all strides of the backbone.
        every_layer: Whether all feature maps of these strides are used, as in the paper, not only the last map of each
            stride. With VGG16 these are the outputs of all 13 convolutions.

    Returns:
        A model from `image` `(batch, height, width, channels)` in [0, 255] of any size to float32 outputs
        `(batch, h, w, outputs)` in the size of the finest map. With `points`, a model from a dictionary of `image` and
        `points` `(batch, n, 2)` to `(batch, n, outputs)`. Points are y and x as shares of the height and the width.

    Raises:
        UserError: If the backbone lacks a stride, or a number is not positive.

    Example:
        >>> backbone = kv.backbones.plain_residual(8, classes=None)
        >>> kv.decoders.hypercolumns(backbone, 2, hidden=8).output_shape
        (None, None, None, 2)

    References:
        Hariharan et al. 2015, arXiv 1411.5752; Larsson et al. 2016, arXiv 1603.06668.
    """
    checks.positive({"hidden": hidden, "outputs": outputs})
    features = pyramid(any_size(backbone), strides)
    if every_layer:
        features = layer_maps(features)
    image = keras.Input((None, None, features.inputs[0].shape[-1]), name="image")
    maps = Body(features)(image)
    layer = Hypercolumns(hidden, outputs)
    if not points:
        return keras.Model(image, layer(_listed(maps)), name=f"{backbone.name}_hypercolumns")
    places = keras.Input((None, 2), name="points")
    inputs = {"image": image, "points": places}
    return keras.Model(inputs, layer(_listed(maps), points=places), name=f"{backbone.name}_hypercolumns")


def _listed(maps) -> list:
    return list(maps) if isinstance(maps, list | tuple) else [maps]
