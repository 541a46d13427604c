"""The shared parts of all converters: their type, their error, and the layers at the end of most conversions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kvision import checks
from kvision.layers import Chain, Decision

__all__ = ["Converter", "Layers", "decided", "dense", "refused"]

Layers = Sequence[keras.layers.Layer]  # The layers are called in this order.
# A converter takes a fitted scikit-learn estimator and returns layers that compute the same numbers. A converter reads
# every parameter that changes the result, and raises `refused(...)` for a value that it cannot convert.
Converter = Callable[[Any], Layers]

_NOTE = (
    "{name} of scikit-learn computes no probabilities: `probabilities` is the softmax of its decision function. The"
    " order of the classes is right, the values are not calibrated."
)


def refused(estimator: Any, problem: str, *, expected: str, hint: str = "") -> checks.UserError:
    """Returns the error for an estimator that cannot be converted. The caller raises it."""
    name = type(estimator).__name__
    return checks.UserError(
        "estimator",
        problem=f"cannot become a layer: {name} {problem}",
        expected=expected,
        received=estimator,
        hint=hint,
    )


def dense(kernel: np.ndarray, bias: np.ndarray | None, activation: str | None = None, name: str | None = None):
    """Returns a built float32 Dense layer with a kernel `(width, units)` and a bias `(units,)`."""
    layer = keras.layers.Dense(
        kernel.shape[1], activation=activation, use_bias=bias is not None, dtype="float32", name=name
    )
    layer.build((None, len(kernel)))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


def decided(estimator: Any, scores: Layers) -> Layers:
    """Returns the layers of an estimator without `predict_proba`: the softmax of its scores, with a note about this."""
    return [Chain([*scores, Decision("softmax")], note=_NOTE.format(name=type(estimator).__name__))]
