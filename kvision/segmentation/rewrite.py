"""Walks the graph of a functional model and of the models inside it, to build a new model from it."""

from collections.abc import Callable
from typing import Any, NoReturn

import keras
from keras import layers

from kvision import checks
from kvision.backbones import trunk
from kvision.layers import Body, Chain

__all__ = ["Copies", "is_pointwise", "refuse", "walk"]

# (operation, args, kwargs, whether its output is joined with a map later, whether its statistics are fixed) -> outputs
Visit = Callable[[Any, tuple, dict, bool, bool], Any]

# Layers, functions and operations that compute each output number only from the number at the same place in each input.
_POINTWISE_LAYERS = (
    *(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Dropout, layers.Identity, layers.Rescaling),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
)
_POINTWISE_ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "hard_silu"),
    *("sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign"),
)
# Operations of keras.ops have no public classes. These are the names of their private classes in lower case.
_POINTWISE_OPERATIONS = (
    *("add", "subtract", "multiply", "divide", "truedivide", "maximum", "minimum"),
    *("negative", "absolute", "square", "sqrt", "exp", "clip", "cast", "identity"),
    *(name.replace("_", "") for name in _POINTWISE_ACTIVATIONS),
)


def is_pointwise(operation: Any) -> bool:
    """Returns whether an operation treats each number in the same way, independently of its position."""
    if isinstance(operation, layers.Activation):
        return getattr(operation.activation, "__name__", "") in _POINTWISE_ACTIVATIONS
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, _POINTWISE_LAYERS)
    return type(operation).__name__.lower() in _POINTWISE_OPERATIONS


def walk(model: keras.Model, start: Any, visit: Visit, *, fixed: bool = False) -> Any:
    """Runs a model with one input and one output, and calls a function in place of each operation.

    Inner models, `Body` and `Chain` are not visited. The function visits the operations inside them.

    Args:
        model: A functional or built Sequential model.
        start: The input value. It can be of any type.
        visit: Called for each operation with its input values. Returns its output values.
        fixed: Whether a `Body` around `model` fixes the batch statistics.

    Returns:
        The output value of the last operation.
    """
    model = getattr(model, "_functional", None) or model  # the inner model of a Sequential
    if len(getattr(model, "inputs", ())) != 1 or len(getattr(model, "outputs", ())) != 1:
        refuse(model, "is not a functional model with one input and one output")
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
    """Returns whether an output of size 1 x 1 is later joined with a larger map, as in squeeze-and-excitation."""
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


def refuse(operation: Any, problem: str, *, hint: str = "", argument: str = "model") -> NoReturn:
    """Raises the error for an operation that cannot be rewritten.

    Args:
        operation: The layer, operation or model. Its name appears in the error.
        problem: The problem with the operation, as a phrase.
        hint: The next step for the user, as a sentence.
        argument: Name of the model in the function that the user called.

    Raises:
        UserError: Always.
    """
    kind = type(operation).__name__
    raise checks.UserError(
        argument,
        problem=f"cannot be rewritten: '{getattr(operation, 'name', operation)}' ({kind}) {problem}",
        expected="convolutions, pooling, layers that work on each pixel alone, Flatten or global pooling, and Dense",
        received=kind,
        hint=hint,
    )


class Copies:
    """Copies of layers for a new model, with unique names.

    If a layer occurs several times in a graph, one copy is made for each of its settings.
    """

    def __init__(self):
        self._made: dict[tuple[int, str], keras.layers.Layer] = {}
        self._names: set[str] = set()

    def name(self, wanted: str) -> str:
        """Returns the name, with a number if it is already used. Layers of two models can have the same name."""
        name, count = wanted, 1
        while name in self._names:
            name, count = f"{wanted}_{count}", count + 1
        self._names.add(name)
        return name

    def of(self, layer: Any, *, fixed: bool = False, **settings: Any) -> Any:
        """Copies a layer without its weights.

        Args:
            layer: A layer, or an operation without state. An operation is returned itself.
            fixed: Whether batch normalization is frozen, as in a `Body`.
            **settings: Settings that replace the settings of the layer.

        Returns:
            The copy. It is not built yet.
        """
        if not isinstance(layer, keras.layers.Layer):
            return layer
        key = (id(layer), repr(sorted(settings.items())))
        if key not in self._made:
            config = {**layer.get_config(), **settings, "name": self.name(layer.name)}
            try:
                copy = type(layer).from_config(config)
            except Exception as reason:  # such as errors of a Lambda or of a custom layer
                refuse(layer, f"cannot be copied: {str(reason).splitlines()[0]}")
            if fixed and isinstance(layer, keras.layers.BatchNormalization):
                copy.trainable = False
            self._made[key] = copy
        return self._made[key]

    @staticmethod
    def call(layer: Any, original: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer and returns `layer(*args, **kwargs)`. The layer gets copies of the weights of `original`."""
        try:
            outputs = layer(*args, **kwargs)
        except Exception as reason:  # Layers raise errors of any type.
            refuse(original, f"takes no image of unknown size: {str(reason).splitlines()[0]}")
        if isinstance(layer, keras.layers.Layer) and layer is not original and layer.weights:
            layer.set_weights(original.get_weights())
            if isinstance(layer, layers.Normalization):
                layer.finalize_state()  # The layer computes with its own copies of its weights.
        return outputs
