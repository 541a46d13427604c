"""Networks that predict the colors of a gray picture, on any backbone."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from kvision import checks, decoders
from kvision.backbones import pyramid
from kvision.backbones.trunk import nodes
from kvision.choices import COLOR_DECODERS, COLOR_HEADS
from kvision.layers import AnnealedMean, ChromaScores, Gray, HintAttention, Hypercolumns, Recolor, ResizeLike
from kvision.ops import chroma_bins

__all__ = ["DECODERS", "HEADS", "chroma", "colorizer", "network"]

DECODERS, HEADS = COLOR_DECODERS, COLOR_HEADS
# As in `kvision segment`: half of the widths of segmentation_models, without a level at the size of the image.
_WIDTHS = (128, 64, 32, 16)


def network(
    backbone: keras.Model,
    *,
    decoder: str = "unet",
    head: str = "regression",
    hints: bool = False,
    neighbors: int = 0,
    widths: Sequence[int] = _WIDTHS,
    points: bool = False,
    standard: str = "bt601",
) -> keras.Model:
    """Creates a network that predicts the chroma of a picture from its gray.

    Color and sepia pictures are reduced to gray inside the network, so it gets the same input in training and for old
    photographs. The chroma is predicted at the stride of the finest map, which is 2 for most backbones. Half of the
    resolution is that of color in JPEG and in video (4:2:0). People hardly see the difference, and the scores of all
    bins need a quarter of the memory. Train the network with `kv.losses.ChromaLoss` or `kv.losses.ChromaBinLoss`. Then
    `colorizer` creates the model that colors pictures.

    Args:
        backbone: A model that `kv.backbones.pyramid` accepts, for images with 3 channels. With hints and neighbors it
            needs 3 channels more for hints, and one more for each neighbor: `kv.backbones.create(..., channels=6)`. The
            backbone becomes the layer `body`, and the new model shares its weights.
        decoder: `"unet"` joins levels by concatenation, `"residual"` by addition, which needs less memory, and
            `"hypercolumn"` predicts each pixel from all maps at its place.
        head: `"regression"` predicts Cb and Cr. Its colors are pale, because the mean of all possible colors has the
            smallest error. `"bins"` predicts scores of the bins of `kv.ops.chroma_bins`.
        hints: Whether the model has an input `hints` for the colors of some pixels; see `kv.colorization.hint_map`.
        neighbors: Number of planes of the input `neighbors`: the luma of neighboring frames of a video.
        widths: Channels of the levels of `"unet"` and `"residual"`, the coarsest level first; see `kv.decoders.unet`.
            The first of them is also the number of hidden units of `"hypercolumn"`, times two.
        points: Whether a `"hypercolumn"` network has a further input `points` and predicts these points only, for
            training; see `kv.decoders.hypercolumns`.
        standard: The standard of luma and chroma: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        A model from `image`, or a dictionary of several inputs, to float32 `(batch, h, w, 2)`, or `(batch, h, w, bins)`
        scores. With `points`, to `(batch, n, 2)` or `(batch, n, bins)`. The inputs are:

        - `image`: `(batch, height, width, 3)` in [0, 255], of any size.
        - `hints`: `(batch, height, width, 3)`: Cb and Cr scaled to [-1, 1], and 1 where they are known, 0 elsewhere.
        - `neighbors`: `(batch, height, width, neighbors)` in [0, 255].
        - `points`: `(batch, n, 2)`, y and x as shares of the height and the width.

    Raises:
        UserError: If an option is unknown, the backbone has the wrong number of channels, or a decoder refuses it.

    Example:
        >>> backbone = kv.backbones.create("ResNet20", image_size=32)
        >>> model = kv.colorization.network(backbone, widths=(16, 8))
        >>> kv.colorization.colorizer(model).output_shape
        (None, None, None, 3)

    References:
        Hypercolumns: Larsson et al. 2016, arXiv 1603.06668. Bins: Zhang et al. 2016, arXiv 1603.08511. Hints: Zhang et
        al. 2017, arXiv 1705.02999.
    """
    checks.one_of("decoder", decoder, DECODERS)
    checks.one_of("head", head, HEADS)
    if points and decoder != "hypercolumn":
        raise checks.UserError("points", expected="the decoder hypercolumn, or points=False", received=decoder)
    _check_channels(backbone, hints, neighbors)
    outputs = 2 if head == "regression" else len(chroma_bins.centers(standard))
    inputs: dict[str, Any] = {"image": keras.Input((None, None, 3), name="image")}
    if hints:
        inputs["hints"] = keras.Input((None, None, 3), name="hints")
    if neighbors:
        inputs["neighbors"] = keras.Input((None, None, neighbors), name="neighbors")
    gray = Gray(standard)(inputs["image"])
    x = _seen(gray, inputs)
    if decoder == "hypercolumn":
        core = decoders.hypercolumns(backbone, outputs, hidden=2 * widths[0], points=points)
    else:
        core = _levels(backbone, outputs, widths, "add" if decoder == "residual" else "concat")
    _start_gray(core)
    given = [x]
    if points:
        inputs["points"] = keras.Input((None, 2), name="points")
        given.append(inputs["points"])
    maps = core.get_layer("body").output
    maps = list(maps) if isinstance(maps, list | tuple) else [maps]
    found, *maps = _on(keras.Model(core.input, [core.output, *maps]), given)
    if hints:
        attention = HintAttention(bins=head == "bins", standard=standard)
        more = {"points": inputs["points"]} if points else {}
        found = attention(found, gray, inputs["hints"], maps, **more)
    last = ChromaScores(standard) if head == "bins" else layers.Activation("linear", name="chroma", dtype="float32")
    return keras.Model(_given(inputs), last(found), name=f"{backbone.name}_{decoder}_{head}")


def chroma(network: keras.Model, *, temperature: float = chroma_bins.TEMPERATURE) -> keras.Model:
    """Creates the model that predicts the chroma of all pixels, with the weights of a network of `network`.

    Args:
        network: A model of `network`.
        temperature: See `kv.ops.chroma_bins.annealed_mean`. Used for bins only.

    Returns:
        A model from the inputs of `network`, without `points`, to the chroma `(batch, height, width, 2)` scaled to
        [-1, 1], in the size of the image.

    Raises:
        UserError: If the network is not a model of `network`.
    """
    inputs, found, _ = _chroma(network, temperature)
    return keras.Model(_given(inputs), found, name=network.name)


def colorizer(network: keras.Model, *, temperature: float = chroma_bins.TEMPERATURE, clip: bool = True) -> keras.Model:
    """Creates the model that colors pictures, with the weights of a network of `network`.

    The luma of the input is kept: the model predicts the chroma alone.

    Args:
        network: A model of `network`.
        temperature: See `kv.ops.chroma_bins.annealed_mean`. Used for bins only.
        clip: Whether to clip the pictures to [0, 255]. A clipped pixel has a different luma.

    Returns:
        A model from the inputs of `network`, without `points`, to RGB `(batch, height, width, 3)` in [0, 255], in the
        size of the image.

    Raises:
        UserError: If the network is not a model of `network`.
    """
    inputs, found, gray = _chroma(network, temperature)
    image = Recolor(gray.standard, clip=clip)(_output(network, gray), found)
    return keras.Model(_given(inputs), image, name=network.name)


def _check_channels(backbone: keras.Model, hints: bool, neighbors: int) -> None:
    if not isinstance(neighbors, int) or isinstance(neighbors, bool) or neighbors < 0:
        raise checks.UserError("neighbors", expected="a number of frames, or 0", received=neighbors)
    needed, own = 3 + 3 * bool(hints) + neighbors, backbone.inputs[0].shape[-1]
    if own != needed:
        raise checks.UserError(
            "backbone",
            problem="has the wrong number of input channels",
            expected=f"{needed} channels: 3 for the gray picture"
            + (", 3 for hints" if hints else "")
            + (f", {neighbors} for neighboring frames" if neighbors else ""),
            received=f"{own} channels",
            hint=f"kv.backbones.create(NAME, channels={needed}) creates it, with ImageNet weights too",
        )


def _start_gray(core: keras.Model) -> None:
    """Sets the kernel of the last layer to zeros, so that the first predictions are gray or equal for all bins.

    Random predictions would be ten times as colorful as photographs, and a short training would only unlearn them.
    """
    for weight in core.layers[-1].weights:
        if weight.path.endswith(("logits/kernel", "predict/kernel")):
            weight.assign(keras.ops.zeros_like(weight))


def _given(inputs: dict[str, Any]) -> Any:
    """Returns the inputs of a model: the image without a dictionary if there is nothing else."""
    return inputs["image"] if len(inputs) == 1 else inputs


def _seen(gray: Any, inputs: dict[str, Any]) -> Any:
    """Returns what the backbone sees: the gray picture in three channels, then hints and neighbors as pixels."""
    planes = [gray, gray, gray]
    if "hints" in inputs:
        # Unknown chroma and gray are in the middle of the range, as the border of the padding is for most backbones.
        planes.append(layers.Rescaling(127.5, 127.5, name="hint_pixels", dtype="float32")(inputs["hints"]))
    if "neighbors" in inputs:
        planes.append(inputs["neighbors"])
    return layers.Concatenate(name="seen", dtype="float32")(planes)


def _levels(backbone: keras.Model, outputs: int, widths: Sequence[int], merge: str) -> keras.Model:
    """Returns a U-Net from image to outputs at the stride of the finest map, without the last step to the image."""
    strides = pyramid(backbone).strides[-len(widths) - 1 :]
    options = {"widths": widths[: len(strides) - 1], "strides": strides, "narrow": False}
    core = decoders.unet(backbone, outputs, merge=merge, **options)
    return keras.Model(core.input, core.get_layer("logits").output)


def _on(core: keras.Model, given: list) -> Any:
    """Calls each layer of a functional model on new tensors, so that `body` is a layer of the new model itself."""
    names = [tensor.name for tensor in core.inputs]
    ordered = given if len(names) == 1 else [given[("image", "points").index(name)] for name in names]
    inputs = keras.tree.pack_sequence_as(core._inputs_struct, ordered)
    return core._run_through_graph(inputs, operation_fn=lambda operation: operation)


def _chroma(network: keras.Model, temperature: float) -> tuple[dict[str, Any], Any, Gray]:
    """Returns the inputs, the chroma in the size of the image, and the layer that computes the gray."""
    last = network.layers[-1]
    gray = next((layer for layer in network.layers if isinstance(layer, Gray)), None)
    if gray is None or not (isinstance(last, ChromaScores) or last.name == "chroma"):
        raise checks.UserError("network", expected="a model of kv.colorization.network", received=network.name)
    inputs = {tensor.name: tensor for tensor in network.inputs}
    if "points" in inputs:
        del inputs["points"]
        hyper = next(layer for layer in network.layers if isinstance(layer, Hypercolumns))
        maps = next(node.output_tensors for node in nodes(network) if node.operation.name == "body")
        found = hyper(list(maps))
        attention = next((layer for layer in network.layers if isinstance(layer, HintAttention)), None)
        if attention is not None:
            found = attention(found, _output(network, gray), inputs["hints"], list(maps))
        found = last(found)
    else:
        found = network.outputs[0]
    if isinstance(last, ChromaScores):
        found = AnnealedMean(last.standard, cell=last.cell, temperature=temperature)(found)
    return inputs, ResizeLike(name="full_size", dtype="float32")(found, inputs["image"]), gray


def _output(network: keras.Model, layer: keras.layers.Layer) -> Any:
    """Returns the output of a layer in this graph. The layer may be in other graphs too, such as that of `paired`."""
    return next(node.output_tensors[0] for node in nodes(network) if node.operation is layer)
