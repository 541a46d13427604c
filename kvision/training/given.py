"""Turns all forms of arrays that Keras' `fit` accepts into one form: `(x, y)` or `(x, y, sample_weight)`."""

import math
from typing import Any

import keras
import numpy as np

from kvision import checks

__all__ = ["divided", "given"]


def given(x: Any, y: Any = None, sample_weight: Any = None, *, argument: str = "train") -> Any:
    """Joins arrays, labels and sample weights into a tuple of arrays. Data that is not arrays is returned unchanged.

    Args:
        x: Arrays, or a tuple `(x, y)` or `(x, y, sample_weight)` of arrays. A list of numbers counts as an array. A
            list or dict of arrays counts as several inputs. Data that is not arrays, such as a dataset, contains its
            labels.
        y: Labels for `x`.
        sample_weight: Weight of each row of `x`.
        argument: Name of `x` in messages.

    Returns:
        A tuple of one to three arrays, or `x`.

    Raises:
        UserError: If `y` or `sample_weight` is given for data that already contains labels, or if lists have different
            lengths.
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
        raise checks.UserError(
            "sample_weight" if y is None else "y",
            problem="is only for arrays",
            expected=f"None, since `{argument}` brings its own labels and weights",
            received=type(x).__name__,
        )
    while arrays and arrays[-1] is None:
        arrays.pop()
    return tuple(_arrays(part, argument) for part in arrays)


def divided(arrays: Any, validation_split: float) -> tuple[tuple, tuple]:
    """Splits arrays as Keras does: the last rows are for validation. The rows are not permuted before.

    Args:
        arrays: The tuple that `given` returned.
        validation_split: Share of the rows for validation, in (0, 1).

    Returns:
        The arrays for training, and the arrays for validation.

    Raises:
        UserError: If `validation_split` leaves a part empty, or the data is not arrays.
    """
    if not 0 < validation_split < 1:
        raise checks.UserError("validation_split", expected="a share in (0, 1)", received=validation_split)
    if not isinstance(arrays, tuple):
        raise checks.UserError(
            "validation_split",
            problem="splits only arrays",
            expected="arrays as `train`, or `validation_data`",
            received=type(arrays).__name__,
            hint="kv.data.split(images.labels, images.pixel_hashes, fraction=0.2, seed=0) divides images by class",
        )
    count = len(keras.tree.flatten(arrays)[0])
    at = math.floor(count * (1 - validation_split))
    if not 0 < at < count:
        raise checks.UserError(
            "validation_split",
            problem=f"leaves one part of the {count} rows empty",
            expected="another fraction",
            received=validation_split,
        )

    def rows(part: slice) -> tuple:
        return tuple(keras.tree.map_structure(lambda leaf: leaf[part], each) for each in arrays)

    return rows(slice(at)), rows(slice(at, None))


def _arrays(part: Any, argument: str) -> Any:
    """Turns lists of numbers into arrays. Structures of arrays stay unchanged."""
    if isinstance(part, dict):
        return {name: _arrays(value, argument) for name, value in part.items()}
    if not isinstance(part, list | tuple):
        return part
    if part and all(getattr(value, "shape", ()) or isinstance(value, dict) for value in part):
        return type(part)(_arrays(value, argument) for value in part)
    try:
        return np.asarray(part)
    except ValueError:  # NumPy raises it for rows of different lengths
        raise checks.UserError(
            argument,
            problem="holds lists of different lengths",
            expected="arrays, or lists that make one",
            received=part,
        ) from None
