"""Finds the places in the graph of a network where the stride changes, without using layer names."""

from dataclasses import dataclass
from typing import Any

import keras

from kvision import checks
from kvision.layers import Pyramid

__all__ = ["Tap", "graph", "nodes", "taps"]


@dataclass(frozen=True)
class Tap:
    """The feature map that represents a stride.

    Attributes:
        tensor: The feature map.
        narrow: The map with the fewest channels from which `tensor` is computed pixel by pixel. It is often `tensor`
            itself.
        operation: The layer or operation that computes `tensor`.
        stride: Distance between two neighboring pixels of the map, in pixels of the image.
    """

    tensor: keras.KerasTensor
    narrow: keras.KerasTensor
    operation: Any
    stride: int


def graph(backbone: keras.Model) -> keras.Model:
    """Returns the functional graph of a backbone.

    Args:
        backbone: A functional or Sequential model from one image to one tensor. If it is a `Pyramid`, the coarsest map
            counts as its output.

    Returns:
        A functional model with the same layers.

    Raises:
        UserError: If the model is not functional or not built, or has several inputs or outputs.
    """
    if isinstance(backbone, Pyramid):
        return keras.Model(backbone.inputs, backbone.outputs[-1], name=backbone.name)
    # A Sequential model has a graph once it is built. A subclassed model has no graph.
    known = isinstance(backbone, keras.Model) and hasattr(getattr(backbone, "_functional", backbone), "operations")
    if not known or len(backbone.inputs) != 1 or len(backbone.outputs) != 1 or len(backbone.inputs[0].shape) != 4:
        raise checks.UserError(
            "backbone",
            expected="a functional or built Sequential model from one image (batch, height, width, channels) to one "
            "tensor",
            received=backbone,
            hint="Begin a Sequential model with keras.Input((height, width, 3))",
        )
    return keras.Model(backbone.inputs, backbone.outputs, name=backbone.name)


def nodes(model: keras.Model) -> list:
    """Returns the nodes of a functional model, including the node of its input, in the order in which they run."""
    by_depth = model._nodes_by_depth  # Keras has no public way to read the order of the graph
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def taps(model: keras.Model) -> list[Tap]:
    """Finds the feature map of each stride.

    The map of a stride is the last tensor of its size that every path from input to output crosses. Padding layers do
    not count. If more tensors of that size come after it, the map is the tensor with the most channels among the
    tensors that enter a layer with smaller outputs. Tensors before the first kernel are raw pixels and do not count.

    Args:
        model: A model of `graph`.

    Returns:
        One `Tap` for each stride, in increasing order of the strides.
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
            if stride[id(tensor)] < stride[id(after[0])]:  # the tensor enters a layer with smaller outputs
                candidates.setdefault(stride[id(tensor)], {})[id(tensor)] = tensor
        learned = learned or any(len(weight.shape) > 1 for weight in getattr(node.operation, "weights", ()))
        if not learned:
            raw |= {id(t) for t in node.output_tensors}
        if reach <= i:  # no edge skips this node, so every path crosses it
            trunk |= {id(t) for t in node.output_tensors}
            last = after[0] if after and learned and not _pads(node.operation) else last
        reach = max([reach, *(last_use.get(id(t), -1) for t in node.output_tensors)])
    if last is not None:
        candidates[stride[id(last)]] = {id(last): last}
    # If the tensor of the trunk is the last tensor of its size, it is the only candidate of that size.
    widest = {s: max(found.values(), key=lambda t: (t.shape[-1], id(t) in trunk)) for s, found in candidates.items()}
    return [Tap(tensor, narrow(tensor), source[id(tensor)].operation, s) for s, tensor in sorted(widest.items())]


def _pads(operation: Any) -> bool:
    return isinstance(operation, keras.layers.ZeroPadding2D | keras.layers.Cropping2D) or (
        type(operation).__name__ == "Pad"  # the operation of keras.ops.pad has no public class
    )


def _is_pointwise(operation: Any) -> bool:
    """Whether each output pixel depends only on the same pixel of one input, apart from batch statistics."""
    if isinstance(operation, keras.layers.Conv2D):
        return operation.kernel_size == operation.strides == (1, 1)
    kinds = keras.layers.BatchNormalization | keras.layers.Activation | keras.layers.ReLU | keras.layers.Dropout
    return isinstance(operation, kinds)
