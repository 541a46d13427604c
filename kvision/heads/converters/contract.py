"""What every converter is and how it refuses."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kvision import checks
from kvision.layers import Chain, Decision

__all__ = ["NO_PROBABILITIES", "Converter", "Layers", "decided", "dense", "refused"]

Layers = Sequence[keras.layers.Layer]  # called one after the other
# From a fitted scikit-learn estimator of one class to the layers that compute its answer. It reads every parameter that
# changes the answer, and raises `refused(...)` for a value that it cannot convert.
Converter = Callable[[Any], Layers]

NO_PROBABILITIES = (
    "{name} of scikit-learn has no probabilities: `probabilities` is the softmax of its decision function. The order"
    " of the classes is right, the values are not calibrated."
)


def refused(estimator: Any, problem: str, *, expected: str, hint: str = "") -> checks.UserError:
    """Builds the error for an estimator that cannot be converted; the caller raises it."""
    name = type(estimator).__name__
    return checks.error(
        "head", problem=f"cannot become a layer: {name} {problem}", expected=expected, received=estimator, hint=hint
    )


def dense(kernel: np.ndarray, bias: np.ndarray | None, activation: str | None = None, name: str | None = None):
    """Creates a float32 Dense layer with a kernel `(width, units)` and a bias `(units,)`, built and ready to train."""
    layer = keras.layers.Dense(
        kernel.shape[1], activation=activation, use_bias=bias is not None, dtype="float32", name=name
    )
    layer.build((None, len(kernel)))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


def decided(estimator: Any, scores: Layers) -> Layers:
    """The layers of an estimator without `predict_proba`: softmax of its scores, and the note for the model card."""
    note = NO_PROBABILITIES.format(name=type(estimator).__name__)
    return [Chain([*scores, Decision("softmax")], note=note)]
