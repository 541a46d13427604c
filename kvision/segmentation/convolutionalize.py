"""Rewrites a window classifier as a fully convolutional network."""

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
# Layers for vectors. They work on maps if their axis is the last one.
_ALONG_THE_LAST = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.UnitNormalization),
    *(layers.Softmax, layers.Concatenate, layers.Activation, ColumnScaling),
)
# The result of these layers depends on the position of a pixel or on the image size.
_PLACED = (
    *(layers.Reshape, layers.Permute, layers.MultiHeadAttention, layers.Resizing, layers.RepeatVector, layers.Lambda),
    *(layers.CenterCrop, layers.RandomCrop, layers.AdaptiveAveragePooling2D, layers.AdaptiveMaxPooling2D, layers.Dot),
)
# Operations of keras.ops that work on maps of any size, in addition to the pointwise operations.
_LOCAL = ("Pad", "MaxPool", "AveragePool", "Conv", "DepthwiseConv", "SeparableConv", "Concatenate", "Softmax")
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 5e-2  # as a share of the largest score, for one window


@dataclass(frozen=True)
class _Flow:
    """The value that passes through the graph.

    Attributes:
        window: The result of the classifier for one window, `(1, h, w, C)` or `(1, D)`.
        tensor: The same result in the new network, `(batch, h, w, D)`.
        flat: The shape `(h, w, C)` of a map that Flatten made into a vector. `tensor` is still the map.
        whole: Whether the value summarizes the whole image, as the gate of squeeze-and-excitation does.
    """

    window: keras.KerasTensor
    tensor: keras.KerasTensor
    flat: tuple[int, int, int] | None = None
    whole: bool = False


def convolutionalize(model: keras.Model) -> keras.Model:
    """Rewrites a trained window classifier as a fully convolutional network.

    One pass of the new network over a large image gives the scores of all windows. The window of output cell `(i, j)`
    has its upper left corner at pixel `(i * stride, j * stride)`. `window_grid` returns the stride. Flatten and the
    Dense layer after it become a convolution. Its kernel has the size of the flattened map. Further Dense layers become
    1x1 convolutions. Global pooling becomes pooling at stride 1.

    The scores equal the scores of the sliding window if no layer pads and no layer uses the whole image. If a layer
    pads, a single window has zeros at its border, where the large image has pixels. Squeeze-and-excitation summarizes
    the whole image instead of the window. `equivalence_report` measures the difference.

    Args:
        model: A functional or built Sequential classifier, from images `(batch, height, width, channels)` of a fixed
            size to `(batch, classes)`. It can come from keras.applications, or from `kv.transfer.attach` with a dense
            head. Models inside the classifier are rewritten too.

    Returns:
        A functional model from images `(batch, height, width, channels)` to `(batch, rows, columns, classes)`. The
        images can have any size of at least one window. The new model has copies of all weights. Batch normalization is
        frozen where a `Body` fixes the statistics. Before the new model is returned, it is compared with `model` on one
        window.

    Raises:
        UserError: If `model` is not such a classifier, or if it has a layer that cannot be rewritten. Examples are
            Reshape, attention, a head of neighbors or trees, and Dense on a map that is neither flattened nor pooled.
            The message contains the name of the layer.

    Example:
        >>> x = keras.layers.Conv2D(4, 3, activation="relu")(image := keras.Input((16, 16, 3)))
        >>> classifier = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
        >>> convolutional = kv.segmentation.convolutionalize(classifier)
        >>> convolutional.predict(np.zeros((1, 40, 61, 3)), verbose=0).shape
        (1, 25, 46, 5)

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 3.1.
    """
    shape = getattr(model, "input_shape", None)
    fits = isinstance(model, keras.Model) and isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:]
    if not fits or not isinstance(model.output_shape, tuple) or len(model.output_shape) != 2:
        raise checks.UserError(
            "model",
            expected="a functional or built Sequential classifier, from images (batch, height, width, channels) of a "
            "fixed size to (batch, classes)",
            received=f"{getattr(model, 'name', model)!s}: {shape} to {getattr(model, 'output_shape', None)}",
        )
    copies = Copies()
    image = keras.Input((None, None, shape[-1]), name=copies.name("image"))

    def visit(operation, args, kwargs, meets_a_map, fixed):
        return _rewritten(copies, operation, args, kwargs, meets_a_map=meets_a_map, fixed=fixed)

    found = walk(model, _Flow(keras.KerasTensor((1, *shape[1:])), image), visit)
    if found.flat is not None or found.whole:
        refuse(model.layers[-1], "ends in numbers that no Dense layer has read")
    convolutional = keras.Model(image, found.tensor, name=f"{model.name}_convolutional")
    _compare(model, convolutional)
    return convolutional


def _rewritten(copies: Copies, operation: Any, args: tuple, kwargs: dict, *, meets_a_map: bool, fixed: bool) -> _Flow:
    """Returns the output of one operation, for one window and in the new network."""
    flows = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, _Flow)]
    window = operation.compute_output_spec(*_each(args, "window"), **_each(kwargs, "window"))
    if not isinstance(window, keras.KerasTensor):
        refuse(operation, "has more than one output")
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
            refuse(operation, "stands between Flatten and Dense", hint="Put it before Flatten")
        return as_it_is(flat=flow.flat)
    if pooling := _GLOBAL.get(type(operation)):
        if meets_a_map:
            return as_it_is(whole=True)
        pool = pooling(before[1:3], strides=1, name=copies.name(operation.name), dtype=operation.dtype_policy)
        return _Flow(window, pool(flow.tensor))
    if type(operation) is layers.Reshape and before[-1] == window.shape[-1] == np.prod(window.shape):
        return _Flow(window, flow.tensor)  # a reshape between (1, 1, C) and (C)
    ranks = {len(each.window.shape) for each in flows}
    if is_pointwise(operation):
        if len(ranks) > 1 and not any(each.whole for each in flows):
            refuse(operation, "joins vectors with maps")
        return as_it_is()
    if ranks == {2}:
        if not isinstance(operation, _ALONG_THE_LAST) or not _along_the_last(operation, 2):
            refuse(operation, "cannot be moved from vectors to maps")
        return as_it_is({"axis": -1} if hasattr(operation, "axis") else None)
    local = isinstance(operation, keras.layers.Layer) or type(operation).__name__ in _LOCAL
    if not local or isinstance(operation, _PLACED) or len(window.shape) != 4 or not _along_the_last(operation, 4):
        refuse(operation, "works only on images of one size")
    return as_it_is()


def _along_the_last(operation: Any, axes: int) -> bool:
    """Returns whether an operation works along the channels or has no axis."""
    axis = getattr(operation, "axis", -1)
    return axis in (-1, axes - 1) or (isinstance(axis, list | tuple) and tuple(axis) in ((-1,), (axes - 1,)))


def _compare(model: keras.Model, convolutional: keras.Model) -> None:
    """Checks that both models agree on one window, where padding and summaries of the image are the same."""
    window = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype("float32")
    expected = np.asarray(keras.ops.convert_to_numpy(model(window, training=False)), "float32")
    found = np.asarray(keras.ops.convert_to_numpy(convolutional(window, training=False)), "float32")
    half = any(layer.compute_dtype in ("float16", "bfloat16") for layer in model._flatten_layers())
    allowed = (_HALF_TOLERANCE if half else _TOLERANCE) * max(float(np.abs(expected).max()), 1e-6)
    good = found.shape == (1, 1, *expected.shape) and np.abs(found - expected).max() <= allowed
    if not good and np.isfinite(expected).all():
        raise checks.UserError(
            "model",
            problem=f"cannot be rewritten: '{convolutional.name}' gives other scores for one window",
            expected=f"scores {expected.shape}",
            received=f"{found.shape}, largest difference {np.abs(found - expected).max():.3g}",
            hint="One of its layers depends on the size or the number of axes of its input",
        )


def _each(structure: Any, part: str) -> Any:
    return keras.tree.map_structure(lambda leaf: getattr(leaf, part) if isinstance(leaf, _Flow) else leaf, structure)


def _convolution(copies: Copies, dense: layers.Dense, size: tuple[int, int, int], x: Any) -> Any:
    """Returns the output of a convolution with the weights of a Dense layer that reads a map of this size."""
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
    # The rows of a Dense kernel are in the order of Flatten: (row, column, channel).
    layer.set_weights([kernel.reshape(*size, dense.units), *bias])
    return x
