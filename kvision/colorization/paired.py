"""Trains a coloring network on pairs of neighboring frames, so that its colors follow the motion."""

from typing import Any

import keras
from keras import ops

from kvision import checks
from kvision.colorization.network import chroma
from kvision.losses import temporal_error

__all__ = ["paired"]


def paired(network: keras.Model, *, weight: float) -> keras.Model:
    """Creates the model that trains a network for videos on pairs of frames, with a temporal loss.

    The network colors a frame and the frame before it. The change of the color along the optical flow is added to the
    loss (`kv.losses.temporal_error`). The loss of the colors themselves is computed for the frame alone, as for
    `network`. Train it with batches of `kv.colorization.ColorFrames` whose frames have `pairs`.

    Args:
        network: A model of `network` with neighbors and without `points`.
        weight: Factor of the temporal loss, at least 0.

    Returns:
        A model with the inputs and the output of `network`, and the inputs `previous`, `previous_neighbors`, `flow` and
        `mask` besides. It shares the weights of `network`.

    Raises:
        UserError: If `network` has other inputs than `image` and `neighbors`, or the weight is negative.

    Example:
        >>> backbone = kv.backbones.create("ResNet20", image_size=32, channels=5)
        >>> network = kv.colorization.network(backbone, neighbors=2, widths=(16, 8))
        >>> sorted(tensor.name for tensor in kv.colorization.paired(network, weight=0.1).inputs)
        ['flow', 'image', 'mask', 'neighbors', 'previous', 'previous_neighbors']

    References:
        Lai et al. 2018, arXiv 1808.00449, equation 4 (the short-term temporal loss).
    """
    if not weight >= 0:
        raise checks.UserError("weight", expected="a factor of at least 0", received=weight)
    inputs: dict[str, Any] = {tensor.name: tensor for tensor in network.inputs}
    if inputs.keys() != {"image", "neighbors"}:
        expected = "a model of kv.colorization.network(..., neighbors=2) without hints and points"
        raise checks.UserError("network", expected=expected, received=sorted(inputs))
    colors = chroma(network)
    before = {
        "image": keras.Input((None, None, 3), name="previous"),
        "neighbors": keras.Input(inputs["neighbors"].shape[1:], name="previous_neighbors"),
    }
    given = keras.tree.pack_sequence_as(colors._inputs_struct, [before[tensor.name] for tensor in colors.inputs])
    previous = colors._run_through_graph(given, operation_fn=lambda operation: operation)
    flow = keras.Input((None, None, 2), name="flow")
    mask = keras.Input((None, None), name="mask")
    found = _TemporalPenalty(weight)(network.outputs[0], colors.outputs[0], previous, flow, mask)
    others = {tensor.name: tensor for tensor in (*before.values(), flow, mask)}
    return keras.Model({**inputs, **others}, found, name=f"{network.name}_paired")


class _TemporalPenalty(keras.layers.Layer):
    """Returns its first input, and adds the temporal loss of the others. It exists in training only."""

    def __init__(self, weight: float):
        super().__init__(name="temporal_penalty", dtype="float32")
        self.weight = weight

    def call(self, predicted, chroma, previous, flow, mask):
        self.add_loss(self.weight * ops.mean(temporal_error(chroma, previous, flow, mask)))
        return predicted

    def compute_output_spec(self, predicted, chroma, previous, flow, mask):
        return keras.KerasTensor(predicted.shape, "float32")
