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
        A model with the inputs of `network`, and the inputs `previous`, `previous_neighbors`, `flow` and `mask`.
        Its outputs are the output of `network`, and the temporal loss `(batch,)` of each example. It is compiled with a
        loss for the first, and adds the second. It shares the weights of `network`.

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
    change = _TemporalError(name="change", dtype="float32")(colors.outputs[0], previous, flow, mask)
    others = {tensor.name: tensor for tensor in (*before.values(), flow, mask)}
    outputs = [network.outputs[0], change]
    return _Paired(weight, inputs={**inputs, **others}, outputs=outputs, name=f"{network.name}_paired")


class _Paired(keras.Model):
    """Adds the second output to the loss of the first.

    `add_loss` is not used: replicas share the list of a layer's losses, and each would log those of the others too.
    """

    def __init__(self, weight: float, **graph):
        super().__init__(**graph)
        self.weight = weight

    def compute_loss(self, x=None, y=None, y_pred: Any = None, sample_weight=None, training=True):
        colors, change = y_pred
        loss = super().compute_loss(x, y, colors, sample_weight, training)
        return loss + self._aggregate_additional_loss(self.weight * ops.mean(change))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred[0], sample_weight)


class _TemporalError(keras.layers.Layer):
    """Computes `temporal_error` of each example in a graph. It exists in training only."""

    def call(self, chroma, previous, flow, mask):
        return temporal_error(chroma, previous, flow, mask)

    def compute_output_spec(self, chroma, previous, flow, mask):
        return keras.KerasTensor(chroma.shape[:1], "float32")
