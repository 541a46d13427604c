"""Whether a model suits the data that it is given: compiled, shapes of its inputs, labels within its classes."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kvision import checks

__all__ = ["check_inputs", "check_labels", "check_shape", "require_compiled", "wrong_label"]


def require_compiled(model: keras.Model) -> None:
    """Raises UserError for a model without a loss or an optimizer."""
    if not model.compiled:
        raise checks.error(
            "model",
            problem="is not compiled",
            expected="a model after model.compile(...)",
            received=model.name,
            hint='For class numbers as labels: model.compile("adam", "sparse_categorical_crossentropy")',
        )


def check_inputs(model: keras.Model, arrays: Any, spec: Any, *, argument: str = "train") -> None:
    """Raises UserError where images have another shape than the model's only input.

    Args:
        model: A model; only functional and Sequential ones tell what they take.
        arrays: The data if it is arrays, for the message.
        spec: A batch of it as KerasTensors; None if unknown.
        argument: The name of the data in messages.
    """
    inputs = getattr(model, "inputs", None) if model.built else None
    if spec is None or not inputs or len(inputs) > 1:
        return
    given = spec[0] if isinstance(spec, tuple) else spec
    leaves = keras.tree.flatten(given)
    if len(leaves) != 1:
        if isinstance(given, list):
            raise checks.error(
                argument,
                problem=f"is a list of {len(leaves)} arrays, which are {len(leaves)} inputs to Keras",
                expected="one array for the only input of the model",
                received=[tuple(leaf.shape) for leaf in leaves],
                hint="Stack a list of images by np.stack(images); labels come in a tuple (x, y)",
            )
        return
    shape = leaves[0].shape
    if isinstance(arrays, tuple):
        shape = np.shape(keras.tree.flatten(arrays[0])[0])
    check_shape(argument, shape, inputs[0].shape)


def check_shape(argument: str, shape: Sequence[int | None], expected: Sequence[int | None]) -> None:
    """Raises UserError unless a batch of `shape` suits an input of shape `expected`; says what can be done for images.

    None stands for any size. As in Keras, a last axis of 1 may be missing, or too many.
    """
    shape, expected = tuple(shape), tuple(expected)
    alike = [shape, (*shape, 1) if expected[-1] == 1 else shape, shape[:-1] if shape[-1:] == (1,) else shape]
    for each in alike:
        pairs = list(zip(each[1:], expected[1:], strict=False))
        if len(each) == len(expected) and all(None in pair or pair[0] == pair[1] for pair in pairs):
            return
    wanted = ", ".join("any" if size is None else str(size) for size in expected[1:])
    raise checks.error(
        argument,
        problem="has another shape than the model's input",
        expected=f"(N, {wanted})",
        received=tuple(shape),
        hint=_remedy(shape, expected) if len(expected) == 4 else "",
    )


def _remedy(shape: tuple, expected: tuple) -> str:
    channels = expected[3]
    if len(shape) == 3 and shape[2] == channels:
        return "This is a single image: images[None] makes a batch of it, np.stack(images) of a list of images"
    if len(shape) == 3:
        return (
            f"These images are gray: np.repeat(images[..., None], {channels}, axis=-1) gives them {channels} channels"
        )
    if len(shape) != 4:
        return ""
    if shape[3] != channels:
        if shape[1] == channels:
            return "The channels come first: np.moveaxis(images, 1, -1) puts them last"
        if shape[3] == 1:
            return f"These images are gray: np.repeat(images, {channels}, axis=-1) gives them {channels} channels"
        if shape[3] == 4:
            return "The fourth channel is alpha: images[..., :3] leaves it out"
        return f"Give them {channels} channels, or create the backbone with channels={shape[3]}"
    return "Resize them, or create the backbone with their image_size"


def check_labels(model: keras.Model, labels: Any, *, argument: str = "train") -> None:
    """Raises UserError where class numbers do not suit a model that learns by sparse categorical cross entropy.

    TensorFlow stops in the middle of the step, or trains on NaN; JAX takes other labels in silence.
    """
    loss = getattr(model, "loss", None)
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    shape = getattr(model, "output_shape", None) if model.built else None
    known = isinstance(shape, tuple) and isinstance(shape[-1], int)
    if name != "sparse_categorical_crossentropy" or not known or keras.tree.is_nested(labels):
        return
    labels, classes = np.asarray(labels), shape[-1]
    if labels.ndim == len(shape) and labels.ndim > 1 and labels.shape[-1] == classes > 1:
        raise checks.error(
            argument,
            problem="holds one-hot labels",
            expected=f"class numbers 0 to {classes - 1} for loss {name!r}",
            received=labels.shape,
            hint="Take the loss 'categorical_crossentropy', or labels.argmax(axis=-1)",
        )
    ignored = getattr(loss, "ignore_class", None)
    counted = labels if ignored is None else labels[labels != ignored]
    if not counted.size:
        return
    low, high = float(counted.min()), float(counted.max())
    if not (low >= 0 and high < classes and (counted == np.floor(counted)).all()):  # NaN is none of it
        raise _out_of_range(argument, f"{low:g} to {high:g}", classes, high)


def wrong_label(failure: Exception, *, argument: str = "train") -> checks.UserError | None:
    """What TensorFlow's error about a label says to the user; None for another error."""
    found = re.search(r"label value of (-?\d+) which is outside the valid range of \[0, (\d+)\)", str(failure))
    return None if found is None else _out_of_range(argument, found[1], int(found[2]), float(found[1]))


def _out_of_range(argument: str, received: str, classes: int, high: float) -> checks.UserError:
    return checks.error(
        argument,
        problem="holds labels that are no class numbers of this model",
        expected=f"integers from 0 to {classes - 1}: the model has {classes} outputs",
        received=received,
        hint="Labels are counted from 0: subtract 1"
        if high == classes
        else "class_names, labels = np.unique(labels, return_inverse=True) numbers any labels from 0",
    )
