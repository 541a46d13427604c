"""A functional graph walked node by node, models inside it included, so that another one can be made of it."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kvision import checks
from kvision.backbones import trunk
from kvision.layers import Body, Chain

__all__ = ["Copies", "is_pointwise", "refuse", "walk"]

# (operation, args, kwargs, whether what it makes meets a map again, whether its statistics are fixed) -> its outputs
Visit = Callable[[Any, tuple, dict, bool, bool], Any]

# operations of keras.ops, which have no public classes, that work on each number alone
_POINTWISE = frozenset(
    (
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "TrueDivide",
        "Maximum",
        "Minimum",
        "Negative",
        "Absolute",
        "Square",
        "Sqrt",
        "Exp",
        "Relu",
        "Relu6",
        "Sigmoid",
        "Silu",
        "HardSigmoid",
        "HardSilu",
        "Tanh",
        "Gelu",
        "Elu",
        "Selu",
        "LeakyRelu",
        "Softplus",
        "Clip",
        "Cast",
        "Identity",
    )
)
_POINTWISE_LAYERS = (
    *(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Dropout, layers.Identity, layers.Rescaling),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
)
_POINTWISE_ACTIVATIONS = frozenset(
    (
        "linear",
        "relu",
        "relu6",
        "sigmoid",
        "tanh",
        "gelu",
        "silu",
        "elu",
        "selu",
        "leaky_relu",
        "hard_sigmoid",
        "hard_silu",
        "softplus",
        "softsign",
    )
)


def is_pointwise(operation: Any) -> bool:
    """Whether it does the same to each number, wherever it stands."""
    if isinstance(operation, layers.Activation):
        return getattr(operation.activation, "__name__", "") in _POINTWISE_ACTIVATIONS
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, _POINTWISE_LAYERS)
    return type(operation).__name__ in _POINTWISE


def walk(model: keras.Model, start: Any, visit: Visit, *, fixed: bool = False) -> Any:
    """Runs a functional (or built Sequential) model with one input and one output on `start`, whatever that is.

    visit: called in the place of each operation with what flows; nested models, `Body` and `Chain` are walked, not
    visited.
    """
    model = getattr(model, "_functional", None) or model  # of a Sequential
    if len(getattr(model, "inputs", ())) != 1 or len(getattr(model, "outputs", ())) != 1:
        raise refuse(model, "is not a functional model with one input and one output")
    ordered = trunk.nodes(model)
    values = {id(model.inputs[0]): start}
    for node in ordered:
        if node.is_input or not all(id(tensor) in values for tensor in node.input_tensors):
            continue
        args, kwargs = node.arguments.fill_in(values)
        operation = node.operation
        inner = operation.backbone if isinstance(operation, Body) else operation
        if isinstance(inner, keras.Model):
            held = fixed or (isinstance(operation, Body) and operation.norm != "train")
            outputs = walk(inner, values[id(node.input_tensors[0])], visit, fixed=held)
        elif isinstance(operation, Chain):
            outputs = values[id(node.input_tensors[0])]
            for step in operation.steps:
                outputs = visit(step, (outputs,), {}, _meets_a_map(node, ordered), fixed)
        else:
            outputs = visit(operation, args, kwargs, _meets_a_map(node, ordered), fixed)
        for tensor, value in zip(node.outputs, keras.tree.flatten(outputs), strict=True):
            values[id(tensor)] = value
    return values[id(model.outputs[0])]


def _meets_a_map(node: Any, ordered: list) -> bool:
    """Whether what a node makes, without extent, is joined with something that has one: squeeze-and-excitation."""
    small = {id(tensor) for tensor in node.output_tensors}
    for later in ordered:
        if later.is_input or not any(id(tensor) in small for tensor in later.input_tensors):
            continue
        if any(id(tensor) not in small and _has_extent(tensor) for tensor in later.input_tensors):
            return True
        small |= {id(tensor) for tensor in later.output_tensors if not _has_extent(tensor)}
    return False


def _has_extent(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)


def refuse(operation: Any, problem: str, *, hint: str = "") -> checks.UserError:
    """The error for what cannot be rewritten, by its name."""
    kind = type(operation).__name__
    return checks.error(
        "model",
        problem=f"cannot be rewritten: '{getattr(operation, 'name', operation)}' ({kind}) {problem}",
        expected="convolutions, pooling, layers that work on each pixel alone, Flatten or global pooling, and Dense",
        received=kind,
        hint=hint,
    )


class Copies:
    """Layers with settings of their own and the weights of those that they stand for, under names used once.

    A layer that stands in several places of a graph is copied once for each of its settings.
    """

    def __init__(self):
        self._made: dict[tuple[int, str], keras.layers.Layer] = {}
        self._names: set[str] = set()

    def name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it if another layer is called so: two models are now one."""
        name, count = wanted, 1
        while name in self._names:
            name, count = f"{wanted}_{count}", count + 1
        self._names.add(name)
        return name

    def of(self, layer: Any, *, fixed: bool = False, **settings: Any) -> Any:
        """A copy of a layer, with other settings; an operation without state is returned as it is.

        fixed: its batch normalization is frozen (what a `Body` around it sees to).
        """
        if not isinstance(layer, keras.layers.Layer):
            return layer
        key = (id(layer), repr(sorted(settings.items())))
        if key not in self._made:
            config = {**layer.get_config(), **settings, "name": self.name(layer.name)}
            try:
                copy = type(layer).from_config(config)
            except Exception as reason:  # a Lambda, or a layer of the user's own
                raise refuse(layer, f"cannot be copied: {str(reason).splitlines()[0]}") from reason
            if fixed and isinstance(layer, keras.layers.BatchNormalization):
                copy.trainable = False
            self._made[key] = copy
        return self._made[key]

    @staticmethod
    def call(layer: Any, original: Any, *args: Any, **kwargs: Any) -> Any:
        """`layer(*args)`, which builds it, with the weights of `original`."""
        try:
            outputs = layer(*args, **kwargs)
        except Exception as reason:  # a layer raises what it likes
            raise refuse(original, f"takes no image of unknown size: {str(reason).splitlines()[0]}") from reason
        if isinstance(layer, keras.layers.Layer) and layer is not original and layer.weights:
            layer.set_weights(original.get_weights())
            if isinstance(layer, layers.Normalization):
                layer.finalize_state()  # it computes with copies of its weights
        return outputs
