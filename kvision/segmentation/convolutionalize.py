"""A classifier of windows -> a network that slides it over an image of any size in one pass."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from kvision import checks
from kvision.layers import ColumnScaling
from kvision.segmentation.rewrite import Copies, is_pointwise, refuse, walk

__all__ = ["convolutionalize"]

_GLOBAL = {
    layers.GlobalAveragePooling2D: layers.AveragePooling2D,
    layers.GlobalMaxPooling2D: layers.MaxPooling2D,
}
# of vectors; their `axis` is the last one
_ALONG_THE_LAST = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.UnitNormalization),
    *(layers.Softmax, layers.Concatenate, layers.Activation, ColumnScaling),
)
# what depends on where a pixel stands, or on the size of the image
_PLACED = (
    *(layers.Reshape, layers.Permute, layers.MultiHeadAttention, layers.Resizing, layers.RepeatVector, layers.Lambda),
    *(layers.CenterCrop, layers.RandomCrop, layers.AdaptiveAveragePooling2D, layers.AdaptiveMaxPooling2D, layers.Dot),
)
# further operations of keras.ops that work on maps wherever they lie
_LOCAL = frozenset(
    ["Pad", "MaxPool", "AveragePool", "Conv", "DepthwiseConv", "SeparableConv", "Concatenate", "Softmax"]
)
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 5e-2  # of the largest score, for one window


@dataclass(frozen=True)
class _Flow:
    """What flows: for one window (1, h, w, C) or (1, D), and in the network that is made, (B, h, w, D).

    flat: h, w, C of what `Flatten` put in a row and still lies as a map. whole: a summary of the whole image, as
    squeeze-and-excitation makes it.
    """

    window: keras.KerasTensor
    tensor: keras.KerasTensor
    flat: tuple[int, int, int] | None = None
    whole: bool = False


def convolutionalize(model: keras.Model) -> keras.Model:
    """Rewrites a trained classifier of windows as a fully convolutional network: its sliding window in one pass.

    model: functional or Sequential, image (B, H, W, C) of a fixed size -> (B, K); of keras.applications, or of
    `kv.transfer.attach` with a dense head; models inside it are taken apart. Flatten and Dense become a convolution of
    the size of what was flattened, further Dense layers 1x1 convolutions (Long, Shelhamer & Darrell 2015, arXiv
    1411.4038, section 3.1), global pooling a pooling of the size that the map has in one window, at stride 1.
    Returns a functional model, image (B, H', W', C) of any size of at least a window -> (B, h, w, K), with copies of
    all weights; where a `Body` fixes statistics, batch normalization is frozen. Cell (i, j) stands for the window whose
    corner is (i S, j S), see `window_grid`. What it says of one window is compared with `model` before it is returned.
    It equals the sliding window where no layer pads and none looks at the whole image. With padding a window sees
    zeros at its rim where the large image has pixels; squeeze-and-excitation summarizes the image instead of the
    window. `equivalence_report` measures how far off that is.
    Raises UserError for another kind of model, and naming the layer that cannot be rewritten: Reshape, attention,
    neighbors or trees as a head, a Dense on something else than what was flattened or pooled, ...
    """
    shape = getattr(model, "input_shape", None)
    fits = isinstance(model, keras.Model) and isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:]
    if not fits or not isinstance(model.output_shape, tuple) or len(model.output_shape) != 2:
        raise checks.error(
            "model",
            expected="a functional or built Sequential classifier, image (B, H, W, C) of a fixed size -> (B, K)",
            received=f"{getattr(model, 'name', model)!s}: {shape} -> {getattr(model, 'output_shape', None)}",
        )
    copies = Copies()
    image = keras.Input((None, None, shape[-1]), name=copies.name("image"))

    def visit(operation, args, kwargs, meets_a_map, fixed):
        flows = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, _Flow)]
        return _one(copies, operation, args, kwargs, flows, meets_a_map, fixed)

    found = walk(model, _Flow(keras.KerasTensor((1, *shape[1:])), image), visit)
    if found.flat is not None or found.whole:
        raise refuse(model.layers[-1], "ends in numbers that no Dense layer has read")
    convolutional = keras.Model(image, found.tensor, name=f"{model.name}_convolutional")
    _compare(model, convolutional)
    return convolutional


def _one(
    copies: Copies, operation: Any, args: tuple, kwargs: dict, flows: list[_Flow], meets_a_map: bool, fixed: bool
) -> _Flow:
    window = operation.compute_output_spec(*_each(args, "window"), **_each(kwargs, "window"))
    if not isinstance(window, keras.KerasTensor):
        raise refuse(operation, "has more than one output")
    flow = flows[0]
    before = flow.window.shape

    def as_it_is(settings: dict | None = None, **state: Any) -> _Flow:
        copy = copies.of(operation, fixed=fixed, **(settings or {}))
        return _Flow(window, copies.call(copy, operation, *_each(args, "tensor"), **_each(kwargs, "tensor")), **state)

    if all(each.whole for each in flows):
        return as_it_is(whole=True)
    if type(operation) is layers.Flatten and operation.data_format == "channels_last":
        extent = len(before) == 4 and before[1:3] != (1, 1)
        return _Flow(window, flow.tensor, before[1:] if extent else flow.flat)
    if type(operation) is layers.Dense and len(before) == 2:
        return _Flow(window, _convolution(copies, operation, flow.flat or (1, 1, before[1]), flow.tensor))
    if any(each.flat for each in flows):
        if len(flows) > 1 or not is_pointwise(operation):
            raise refuse(operation, "stands between Flatten and Dense", hint="Put it before Flatten")
        return as_it_is(flat=flow.flat)
    for kind, pooling in _GLOBAL.items():
        if type(operation) is kind:
            if meets_a_map:
                return as_it_is(whole=True)
            pool = pooling(before[1:3], strides=1, name=copies.name(operation.name), dtype=operation.dtype_policy)
            return _Flow(window, pool(flow.tensor))
    if type(operation) is layers.Reshape and before[-1] == window.shape[-1] == np.prod(window.shape):
        return _Flow(window, flow.tensor)  # (1, 1, C) <-> (C)
    ranks = {len(each.window.shape) for each in flows}
    if is_pointwise(operation):
        if len(ranks) > 1 and not any(each.whole for each in flows):
            raise refuse(operation, "joins vectors with maps")
        return as_it_is()
    if ranks == {2}:
        if not isinstance(operation, _ALONG_THE_LAST) or not _along_the_last(operation, 2):
            raise refuse(operation, "cannot be moved from vectors to maps")
        return as_it_is({"axis": -1} if hasattr(operation, "axis") else None)
    local = isinstance(operation, keras.layers.Layer) or type(operation).__name__ in _LOCAL
    if not local or isinstance(operation, _PLACED) or len(window.shape) != 4 or not _along_the_last(operation, 4):
        raise refuse(operation, "works on an image of one size alone")
    return as_it_is()


def _along_the_last(operation: Any, axes: int) -> bool:
    """Whether it works along channels, or has no axis: along rows, a map of many windows is not one window's."""
    axis = getattr(operation, "axis", -1)
    return axis in (-1, axes - 1) or (isinstance(axis, list | tuple) and tuple(axis) in ((-1,), (axes - 1,)))


def _compare(model: keras.Model, convolutional: keras.Model) -> None:
    """One window is the whole image: padding and summaries are the same there, so that all must be."""
    window = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype("float32")
    expected = np.asarray(keras.ops.convert_to_numpy(model(window, training=False)), "float32")
    found = np.asarray(keras.ops.convert_to_numpy(convolutional(window, training=False)), "float32")
    half = any(layer.compute_dtype in ("float16", "bfloat16") for layer in model._flatten_layers())
    allowed = (_HALF_TOLERANCE if half else _TOLERANCE) * max(float(np.abs(expected).max()), 1e-6)
    good = found.shape == (1, 1, *expected.shape) and np.abs(found - expected).max() <= allowed
    if not good and np.isfinite(expected).all():
        raise checks.error(
            "model",
            problem=f"cannot be rewritten: for one window '{convolutional.name}' says something else",
            expected=f"scores {expected.shape}",
            received=f"{found.shape}, largest difference {np.abs(found - expected).max():.3g}",
            hint="A layer of it depends on the size or the number of axes of what it is given",
        )


def _each(structure: Any, part: str) -> Any:
    return keras.tree.map_structure(lambda leaf: getattr(leaf, part) if isinstance(leaf, _Flow) else leaf, structure)


def _convolution(copies: Copies, dense: layers.Dense, size: tuple[int, int, int], x: Any) -> Any:
    """Rows of a Dense kernel are ordered as Flatten orders them: (row, column, channel)."""
    layer = layers.Conv2D(
        dense.units,
        size[:2],
        activation=dense.activation,
        use_bias=dense.use_bias,
        kernel_regularizer=dense.kernel_regularizer,
        bias_regularizer=dense.bias_regularizer,
        name=copies.name(dense.name),
        dtype=dense.dtype_policy,
        trainable=dense.trainable,
    )
    x = layer(x)
    kernel, *bias = dense.get_weights()
    layer.set_weights([kernel.reshape(*size, dense.units), *bias])
    return x
