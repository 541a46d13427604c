"""Computes the memory that the activations of a network take in training."""

import math

import keras

from kvision.backbones.trunk import nodes

__all__ = ["activation_bytes"]


def activation_bytes(network: keras.Model, height: int, width: int) -> int:
    """Computes the size of all activations behind the backbone for one image, without running the network.

    The gradient needs these tensors, so they are in memory at the same time. The activations of the backbone itself are
    equal for all decoders and are not counted.

    Args:
        network: A functional model with the layer `body` and inputs in the size of the image, such as one of
            `kv.colorization.network` or `kv.decoders.unet`.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The number of bytes in float32.
    """
    behind, tensors = set(), []
    for node in nodes(network):
        if node.operation.name == "body" or behind & {id(tensor) for tensor in node.input_tensors}:
            behind |= {id(tensor) for tensor in node.output_tensors}
            tensors += [] if node.operation.name == "body" else node.output_tensors
    traced = keras.Model(network.inputs, tensors)
    sized = [keras.KerasTensor((1, height, width, tensor.shape[-1]), "float32") for tensor in network.inputs]
    inputs = keras.tree.pack_sequence_as(traced._inputs_struct, sized)
    found = traced._run_through_graph(inputs, operation_fn=lambda operation: operation.compute_output_spec)
    return 4 * sum(math.prod(tensor.shape) for tensor in keras.tree.flatten(found))
