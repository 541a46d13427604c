"""Checks that a model is compiled, that the input shapes fit, and that the labels are classes of the model."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kvision import checks

__all__ = ["check_inputs", "check_labels", "check_shape", "require_compiled", "wrong_label"]


def require_compiled(model: keras.Model) -> None:
    """Raises `UserError` for a model without a loss."""
    if not model.compiled:
        raise checks.UserError(
            "model",
            problem="is not compiled",
            expected="a model after model.compile(...)",
            received=model.name,
            hint='For class numbers as labels: model.compile("adam", "sparse_categorical_crossentropy")',
        )


def check_inputs(model: keras.Model, arrays: Any, spec: Any, *, argument: str = "train") -> None:
    """Checks the shape of images against the only input of a model.

    Args:
        model: Any model. Only functional and Sequential models have known inputs. Other models are not checked.
        arrays: The data, if it is a tuple of arrays. The message shows its shape.
        spec: One batch as KerasTensors. None if unknown.
        argument: Name of the data in messages.

    Raises:
        UserError: If the shape differs, or a list of arrays is passed to a model with one input.
    """
    inputs = getattr(model, "inputs", None) if model.built else None
    if spec is None or not inputs or len(inputs) > 1:
        return
    given = spec[0] if isinstance(spec, tuple) else spec
    leaves = keras.tree.flatten(given)
    if len(leaves) != 1:
        if isinstance(given, list):
            raise checks.UserError(
                argument,
                problem=f"is a list of {len(leaves)} arrays, which Keras takes as {len(leaves)} inputs",
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
    """Checks the shape of a batch against the shape of an input. The error says how to change images that do not fit.

    As in Keras, the batch may lack a last axis of 1, or may have an additional last axis of 1.

    Args:
        argument: Name of the data in messages.
        shape: Shape of the batch. None stands for any size.
        expected: Shape of the input. None stands for any size.

    Raises:
        UserError: If the shapes differ.
    """
    shape, expected = tuple(shape), tuple(expected)
    alike = [shape, (*shape, 1) if expected[-1] == 1 else shape, shape[:-1] if shape[-1:] == (1,) else shape]
    for each in alike:
        pairs = list(zip(each[1:], expected[1:], strict=False))
        if len(each) == len(expected) and all(None in pair or pair[0] == pair[1] for pair in pairs):
            return
    wanted = ", ".join("any" if size is None else str(size) for size in expected[1:])
    raise checks.UserError(
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
    """Checks labels for a model that trains with sparse categorical cross entropy.

    Without this check, TensorFlow stops in the middle of a step or trains on NaN, and JAX accepts wrong labels
    silently.

    Args:
        model: A compiled model.
        labels: Labels as an array. Structures that are not arrays are not checked.
        argument: Name of the labels in messages.

    Raises:
        UserError: If the labels are one-hot, or are not class numbers of the model.
    """
    loss = getattr(model, "loss", None)
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    shape = getattr(model, "output_shape", None) if model.built else None
    known = isinstance(shape, tuple) and isinstance(shape[-1], int)
    if name != "sparse_categorical_crossentropy" or not known or keras.tree.is_nested(labels):
        return
    labels, classes = np.asarray(labels), shape[-1]
    if labels.ndim == len(shape) and labels.ndim > 1 and labels.shape[-1] == classes > 1:
        raise checks.UserError(
            argument,
            problem="holds one-hot labels",
            expected=f"class numbers 0 to {classes - 1} for loss {name!r}",
            received=labels.shape,
            hint="Use the loss 'categorical_crossentropy', or labels.argmax(axis=-1)",
        )
    ignored = getattr(loss, "ignore_class", None)
    counted = labels if ignored is None else labels[labels != ignored]
    if not counted.size:
        return
    low, high = float(counted.min()), float(counted.max())
    if not (low >= 0 and high < classes and (counted == np.floor(counted)).all()):  # NaN fails all of these checks
        raise checks.UserError(argument, **_out_of_range(f"{low:g} to {high:g}", classes, high))


def wrong_label(failure: Exception, *, argument: str) -> checks.UserError | None:
    """Translates TensorFlow's error about a label. Returns None if the error is not about a label."""
    found = re.search(r"label value of (-?\d+) which is outside the valid range of \[0, (\d+)\)", str(failure))
    return found and checks.UserError(argument, **_out_of_range(found[1], int(found[2]), float(found[1])))


def _out_of_range(received: str, classes: int, high: float) -> dict[str, str]:
    number = "class_names, labels = np.unique(labels, return_inverse=True) numbers any labels from 0"
    return {
        "problem": "holds labels that are no class numbers of this model",
        "expected": f"integers from 0 to {classes - 1}: the model has {classes} outputs",
        "received": received,
        "hint": "Labels are counted from 0: subtract 1" if high == classes else number,
    }
