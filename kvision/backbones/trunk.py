"""Where a network changes its stride: read off its graph, whatever its layers are called."""

from dataclasses import dataclass
from typing import Any

import keras

from kvision import checks
from kvision.layers import Pyramid

__all__ = ["Tap", "graph", "nodes", "taps"]


@dataclass(frozen=True)
class Tap:
    """The tensor that stands for a stride.

    Attributes:
        tensor: The feature map.
        narrow: The map of fewest channels from which `tensor` is computed pixel by pixel; often `tensor` itself.
        operation: The layer or operation whose output `tensor` is.
        stride: Pixels of the image for each pixel of the map.
    """

    tensor: keras.KerasTensor
    narrow: keras.KerasTensor
    operation: Any
    stride: int


def graph(backbone: keras.Model) -> keras.Model:
    """The functional graph of a model (functional or Sequential) with one image in and one tensor out; of a `Pyramid`
    that of its coarsest map."""
    if isinstance(backbone, Pyramid):
        return keras.Model(backbone.inputs, backbone.outputs[-1], name=backbone.name)
    # a Sequential is functional once it is built; hidden in a subclassed model there is nothing to read
    known = isinstance(backbone, keras.Model) and hasattr(getattr(backbone, "_functional", backbone), "operations")
    if not known or len(backbone.inputs) != 1 or len(backbone.outputs) != 1 or len(backbone.inputs[0].shape) != 4:
        raise checks.error(
            "backbone",
            expected="a functional or built Sequential model with one image (B, H, W, C) in and one tensor out",
            received=backbone,
            hint="Begin a Sequential model with keras.Input((H, W, 3))",
        )
    return keras.Model(backbone.inputs, backbone.outputs, name=backbone.name)


def nodes(model: keras.Model) -> list:
    """The nodes of a functional model in the order in which it runs them, its input's included."""
    by_depth = model._nodes_by_depth  # private, but there is no other door to the order of the graph
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def taps(model: keras.Model) -> list[Tap]:
    """The taps of a `graph`, by rising stride.

    The tap of a stride is the last tensor of that size that every path from input to output crosses, padding skipped;
    where other tensors of that size come after it, the widest that enters a smaller size. No tap stands before the
    first kernel: raw pixels are no feature.
    """
    ordered = nodes(model)
    maps = [t for node in ordered for t in node.output_tensors if len(t.shape) == 4]
    stride = dict(zip(map(id, maps), Pyramid(model.inputs, maps).strides, strict=True))
    source = {id(t): node for node in ordered for t in node.output_tensors}

    def unpadded(tensor):
        node = source[id(tensor)]
        return unpadded(node.input_tensors[0]) if _pads(node.operation) else tensor

    def narrow(tensor):
        best = tensor
        while _is_pointwise(source[id(tensor)].operation):
            (tensor,) = source[id(tensor)].input_tensors
            if id(tensor) in raw:
                break
            best = min(best, tensor, key=lambda t: t.shape[-1])
        return best

    last_use = {id(t): i for i, node in enumerate(ordered) for t in node.input_tensors}
    trunk, raw, reach, learned, last = set(), set(), -1, False, None
    candidates: dict[int, dict[int, keras.KerasTensor]] = {}
    for i, node in enumerate(ordered):
        before, after = (
            [t for t in tensors if stride.get(id(t))] for tensors in (node.input_tensors, node.output_tensors)
        )
        for tensor in map(unpadded, before if learned and after else []):
            if stride[id(tensor)] < stride[id(after[0])]:  # it enters a smaller size
                candidates.setdefault(stride[id(tensor)], {})[id(tensor)] = tensor
        learned = learned or any(len(weight.shape) > 1 for weight in getattr(node.operation, "weights", ()))
        if not learned:
            raw |= {id(t) for t in node.output_tensors}
        if reach <= i:  # no edge jumps over this node: it is on every path
            trunk |= {id(t) for t in node.output_tensors}
            last = after[0] if after and learned and not _pads(node.operation) else last
        reach = max([reach, *(last_use.get(id(t), -1) for t in node.output_tensors)])
    if last is not None:
        candidates[stride[id(last)]] = {id(last): last}
    # where the trunk's tensor is the last of its size, it is the only one that enters a smaller one
    widest = {s: max(found.values(), key=lambda t: (t.shape[-1], id(t) in trunk)) for s, found in candidates.items()}
    return [Tap(tensor, narrow(tensor), source[id(tensor)].operation, s) for s, tensor in sorted(widest.items())]


def _pads(operation: Any) -> bool:
    return isinstance(operation, keras.layers.ZeroPadding2D | keras.layers.Cropping2D) or (
        type(operation).__name__ == "Pad"  # of keras.ops.pad, which has no public class
    )


def _is_pointwise(operation: Any) -> bool:
    """Whether each pixel of the output depends on the same pixel of one input alone, batch statistics apart."""
    if isinstance(operation, keras.layers.Conv2D):
        return operation.kernel_size == operation.strides == (1, 1)
    kinds = keras.layers.BatchNormalization | keras.layers.Activation | keras.layers.ReLU | keras.layers.Dropout
    return isinstance(operation, kinds)
