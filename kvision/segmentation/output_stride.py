"""Rewrites a network for a finer feature map with the same weights."""

import math
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from kvision import checks
from kvision.layers import DilatedPooling, ZeroPaddedShortcut
from kvision.segmentation.rewrite import Copies, is_pointwise, refuse, walk

__all__ = ["to_output_stride"]

_POOLS = {layers.MaxPooling2D: "max", layers.AveragePooling2D: "average"}
_KERNELS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
_GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
_Pair = tuple[int, int]


@dataclass(frozen=True)
class _Flow:
    """The value that passes through the graph.

    Attributes:
        tensor: The feature map of the new network.
        stride: The stride of the feature map in pixels of the image.
        dilation: The dilation of all later kernels.
    """

    tensor: keras.KerasTensor
    stride: _Pair = (1, 1)
    dilation: _Pair = (1, 1)


def to_output_stride(model: keras.Model, stride: int) -> keras.Model:
    """Rewrites a network to produce a feature map of a finer stride, with dilated kernels ("à trous").

    Layers that would make the stride coarser than `stride` get a stride of 1. Later kernels are dilated instead, so
    that each kernel reads the same pixels as before.

    Every n-th cell of the new map equals a cell of the old map. This holds for all cells if no layer pads. If layers
    pad, it holds for cells inside the image if the strides divide the image size. Cells near the border differ. With
    squeeze-and-excitation all cells differ. The batch statistics remain the statistics of the coarse map.

    Args:
        model: A functional model from images `(batch, height, width, channels)` to a feature map
            `(batch, h, w, features)`, such as a backbone or a model of `convolutionalize`.
        stride: The new stride in pixels, such as 8 or 16. If it is equal to or larger than the stride of `model`,
            nothing changes.

    Returns:
        A functional model from images of the same shape to `(batch, h', w', features)`, with copies of all weights. A
        layer that needs two different dilations becomes two layers.

    Raises:
        UserError: If `model` is not such a model, if the strides of its feature maps skip `stride`, or if a layer
            cannot be dilated, such as a transposed convolution. The message contains the name of the layer.

    Example:
        >>> conv, deep = keras.layers.Conv2D(4, 3, strides=2), keras.layers.Conv2D(8, 3, strides=2)
        >>> backbone = keras.Sequential([keras.Input((65, 65, 3)), conv, deep])
        >>> backbone.output_shape, kv.segmentation.to_output_stride(backbone, 2).output_shape
        ((None, 15, 15, 8), (None, 30, 30, 8))

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 3.2.
        Chen et al. 2015, arXiv 1412.7062, section 3.1.
    """
    shape = getattr(model, "input_shape", None)
    fits = isinstance(model, keras.Model) and isinstance(shape, tuple) and len(shape) == 4
    if not fits or not isinstance(model.output_shape, tuple) or len(model.output_shape) != 4:
        raise checks.UserError(
            "model",
            expected="a functional model from images (batch, height, width, channels) to maps (batch, h, w, features)",
            received=f"{getattr(model, 'name', model)!s}: {shape} to {getattr(model, 'output_shape', None)}",
        )
    if not isinstance(stride, int) or stride < 1:
        raise checks.UserError("stride", expected="a number of pixels of at least 1", received=stride)
    copies = Copies()
    image = keras.Input(shape[1:], name=copies.name(model.inputs[0].name))

    def visit(operation, args, kwargs, _, fixed):
        flows = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, _Flow)]
        if len({(each.stride, each.dilation) for each in flows}) > 1:
            refuse(operation, "joins maps that reach this stride by different strides")
        flow = flows[0]

        def call(layer, tensors=None, **state: Any):
            given = tensors or keras.tree.map_structure(
                lambda leaf: leaf.tensor if isinstance(leaf, _Flow) else leaf, (args, kwargs)
            )
            outputs = copies.call(layer, operation, *given[0], **given[1])
            return keras.tree.map_structure(lambda tensor: replace(flow, tensor=tensor, **state), outputs)

        if type(operation) in (*_KERNELS, *_POOLS, ZeroPaddedShortcut):
            own = _pair(getattr(operation, "strides", None) or operation.stride)
            # After the first dilated layer, no layer may have a stride above 1.
            room = [stride // have if flow.dilation == (1, 1) else 1 for have in flow.stride]
            keeps = tuple(math.gcd(s, max(r, 1)) for s, r in zip(own, room, strict=True))
            wider = tuple(d * s // k for d, s, k in zip(flow.dilation, own, keeps, strict=True))
            state = {"stride": tuple(a * b for a, b in zip(flow.stride, keeps, strict=True)), "dilation": wider}
            if isinstance(operation, ZeroPaddedShortcut):
                return call(copies.of(operation, stride=keeps[0]), **state)
            if keeps == own and flow.dilation == (1, 1):
                return call(copies.of(operation, fixed=fixed), **state)
            return call(*_spread(copies, operation, own, keeps, flow), **state)
        for kind, rim in ((layers.ZeroPadding2D, "padding"), (layers.Cropping2D, "cropping")):
            if type(operation) is kind:
                sides = zip(getattr(operation, rim), flow.dilation, strict=True)
                return call(copies.of(operation, **{rim: tuple(tuple(p * d for p in side) for side, d in sides)}))
        extent = len(flow.tensor.shape) == 4 and flow.tensor.shape[1:3] != (1, 1)
        if extent and not is_pointwise(operation) and not isinstance(operation, _GLOBAL):
            whole = isinstance(operation, keras.layers.Layer) and not isinstance(operation, DilatedPooling)
            if not (whole or flow.dilation == (1, 1)) or _moves(operation, args, kwargs):
                refuse(operation, "cannot be dilated")
        return call(copies.of(operation, fixed=fixed))

    found = walk(model, _Flow(image), visit)
    if found.dilation != (1, 1) and found.stride != (stride, stride):
        raise checks.UserError(
            "stride",
            expected=f"a stride that the strides of '{model.name}' pass through, such as {found.stride[0]}",
            received=stride,
        )
    return keras.Model(image, found.tensor, name=f"{model.name}_stride{stride}")


def _spread(copies: Copies, layer: Any, own: tuple, keeps: tuple, flow: _Flow) -> tuple[Any, tuple]:
    """Returns a copy of a convolution or pooling with taps that are `dilation` apart, and the arguments of its call.

    The padding is the padding of the original layer for an image with sides that are multiples of the layer's stride.
    """
    kind = _POOLS.get(type(layer))
    taps = tuple(layer.pool_size if kind else layer.kernel_size)
    rates = _pair(getattr(layer, "dilation_rate", 1))
    apart = tuple(a * b for a, b in zip(rates, flow.dilation, strict=True))
    if max(keeps) > 1 and (max(apart) > 1 or (kind and layer.padding == "same")):
        refuse(layer, "would both stride and be dilated")
    if kind and max(keeps) > 1:
        return copies.of(layer, strides=keeps), ((flow.tensor,), {})
    pads = "valid"
    if layer.padding == "same":
        spans = [(k - 1) * r + 1 for k, r in zip(taps, rates, strict=True)]
        starts = [max(span - s, 0) // 2 * d for span, s, d in zip(spans, own, flow.dilation, strict=True)]
        ends = [(k - 1) * a - start for k, a, start in zip(taps, apart, starts, strict=True)]
        pads = tuple(zip(starts, ends, strict=True))
    if kind:
        name = copies.name(layer.name)
        pool = DilatedPooling(kind, taps, dilation=apart, padding=pads, name=name, dtype=layer.dtype_policy)
        return pool, ((flow.tensor,), {})
    tensor = flow.tensor
    if pads != "valid" and any(map(any, pads)):
        tensor = layers.ZeroPadding2D(pads, name=copies.name(f"{layer.name}_pad"))(tensor)
    # A kernel of one pixel needs no dilation.
    apart = (1, 1) if set(taps) == {1} else apart
    return copies.of(layer, strides=keeps, dilation_rate=apart, padding="valid"), ((tensor,), {})


def _moves(operation: Any, args: tuple, kwargs: dict) -> bool:
    """Returns whether the output does not grow by 48 pixels if the input grows by 48 pixels."""
    sides = []
    for side in (96, 144):

        def sized(leaf, side=side):
            if not isinstance(leaf, _Flow):
                return leaf
            return keras.KerasTensor((1, side, side, leaf.tensor.shape[-1]), leaf.tensor.dtype)

        found = operation.compute_output_spec(
            *keras.tree.map_structure(sized, args), **keras.tree.map_structure(sized, kwargs)
        )
        sides.append([tensor.shape[1:3] for tensor in keras.tree.flatten(found)])
    return any(len(b) != 2 or b[0] - a[0] != 48 or b[1] - a[1] != 48 for a, b in zip(*sides, strict=True))


def _pair(value: Any) -> _Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
