"""The ways in which Keras' `fit` takes arrays, brought into one: `(x, y)` or `(x, y, sample_weight)`."""

import math
from typing import Any

import keras
import numpy as np

from kvision import checks

__all__ = ["divided", "given"]


def given(x: Any, y: Any = None, sample_weight: Any = None, *, argument: str = "train") -> Any:
    """Joins arrays, labels and weights of samples into a tuple of arrays; returns other data as it is.

    Args:
        x: Arrays, or a tuple `(x, y)` or `(x, y, sample_weight)` of arrays; a list of numbers is an array, and a list
            or dict of arrays is several inputs. Any other data, such as a dataset, brings its own labels.
        y: Labels for `x`.
        sample_weight: Weights for `x`, one a sample.
        argument: The name of `x` in messages.

    Raises:
        kvision.UserError: If `y` or `sample_weight` come with data that brings its own, or lists hold no arrays.
    """
    if isinstance(x, tuple) and y is None and len(x) in (2, 3):
        x, y, *weights = x
        if sample_weight is None and weights:
            (sample_weight,) = weights
        arrays = [x, y, sample_weight]
    elif isinstance(x, tuple | list | dict) or hasattr(x, "__array__"):
        arrays = [*x] if isinstance(x, tuple) and y is None else [x, y, sample_weight]
    elif y is None and sample_weight is None:
        return x
    else:
        raise checks.error(
            "sample_weight" if y is None else "y",
            problem="comes with arrays alone",
            expected=f"None, since `{argument}` brings its own labels and weights",
            received=type(x).__name__,
        )
    while arrays and arrays[-1] is None:
        arrays.pop()
    return tuple(_arrays(part, argument) for part in arrays)


def divided(arrays: Any, share: float) -> tuple[tuple, tuple]:
    """Splits arrays as Keras does: the last `share` of the rows, which no seed permutes before, is for validation."""
    if not 0 < share < 1:
        raise checks.error("validation_split", expected="a share in (0, 1)", received=share)
    if not isinstance(arrays, tuple):
        raise checks.error(
            "validation_split",
            problem="splits arrays alone",
            expected="arrays as `train`, or `validation_data`",
            received=type(arrays).__name__,
            hint="kv.data.split(images.labels, images.pixel_hashes, fraction=0.2, seed=0) divides images by class",
        )
    count = len(keras.tree.flatten(arrays)[0])
    at = math.floor(count * (1 - share))
    if not 0 < at < count:
        raise checks.error(
            "validation_split", problem=f"leaves a part of {count} rows empty", expected="another share", received=share
        )

    def rows(part: slice) -> tuple:
        return tuple(keras.tree.map_structure(lambda leaf: leaf[part], each) for each in arrays)

    return rows(slice(at)), rows(slice(at, None))


def _arrays(part: Any, argument: str) -> Any:
    """Lists of numbers as arrays; structures of arrays stay what they are."""
    if isinstance(part, dict):
        return {name: _arrays(value, argument) for name, value in part.items()}
    if not isinstance(part, list | tuple):
        return part
    if part and all(getattr(value, "shape", ()) or isinstance(value, dict) for value in part):
        return type(part)(_arrays(value, argument) for value in part)
    try:
        return np.asarray(part)
    except ValueError:  # NumPy's word for rows of several lengths
        raise checks.error(
            argument, problem="holds lists of several lengths", expected="arrays, or lists that make one", received=part
        ) from None
