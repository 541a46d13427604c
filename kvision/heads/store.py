"""Heads on disk: arrays and JSON, no code."""

import json
from math import isfinite
from pathlib import Path

import numpy as np

from kvision import atomic, checks, npz
from kvision.heads.forest import ForestHead
from kvision.heads.head import Head
from kvision.heads.knn import KNNHead
from kvision.heads.logistic import LogisticHead

__all__ = ["load", "save"]

_KINDS = {kind.__name__: kind for kind in (KNNHead, ForestHead, LogisticHead)}
_ABOUT = 40_000  # bytes, four a letter
_LARGEST = 1 << 32  # of whole numbers; seeds end here


def save(head: Head, path: str | Path) -> None:
    """Writes a fitted head as one file (NumPy's `.npz`): learned arrays, and class and parameters as JSON text."""
    checks.one_of("head", type(head).__name__, _KINDS)
    learned = {n: np.asarray(v) for n, v in vars(head).items() if n.endswith("_") and not n.startswith("_")}
    # names of classes and of a table's columns may come as Python objects, which NumPy would pickle
    learned = {n: v.astype(str) if v.dtype == object else v for n, v in learned.items()}
    about = json.dumps({"head": type(head).__name__, "parameters": head.get_params()})
    with atomic.file(path) as temporary, temporary.open("wb") as stream:  # savez would add a suffix to a name
        np.savez(stream, about=np.array(about), **learned)


def load(path: str | Path) -> Head:
    """Reads what `save` wrote; UserError for a file that is damaged, foreign, or holds anything but arrays.

    Nothing in the file is run, and what it holds is what `fit` could have left: sizes and indices that agree, finite
    numbers, parameters of JSON's plain kinds.
    """
    try:
        learned = npz.read(path, stored=True)
        head = _unfitted(learned.pop("about"))
        for name, value in learned.items():
            if not name.isidentifier() or not name.endswith("_") or name.startswith("_") or hasattr(head, name):
                raise ValueError(f"it holds an array of the name {name!r}")
            setattr(head, name, value if value.ndim else value.item())
        _check_classes(head)
        head._check_learned()
        head.to_layer()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
        raise checks.error(
            "path",
            problem=f"cannot be read as a head: {' '.join(str(reason).split())[:300].rstrip('.')}",
            expected="a file that kv.heads.save wrote",
            received=str(path),
            hint="Save the head again. Nothing in the file was run",
        ) from reason
    return head


def _unfitted(text: np.ndarray) -> Head:
    if text.ndim or text.dtype.kind != "U" or text.size * text.itemsize > _ABOUT:
        raise ValueError("what it says about itself is no short text")
    about = json.loads(str(text))
    parameters = about["parameters"]
    for name, value in parameters.items():
        plain = value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value))
        if not plain or (isinstance(value, int) and abs(value) > _LARGEST):
            raise ValueError(f"the parameter {name!r} is {str(value)[:50]}")
    return _KINDS[about["head"]](**parameters)


def _check_classes(head: Head) -> None:
    classes, width = head.classes_, head.n_features_in_
    if np.ndim(classes) != 1 or len(classes) < 2 or not np.array_equal(np.unique(classes), classes):
        raise ValueError("classes_ are not two or more, sorted")
    if type(width) is not int or width < 1:
        raise ValueError(f"n_features_in_ is {width!r}")
