"""Saves heads as arrays and JSON, without code."""

import json
from pathlib import Path

import numpy as np

from kvision import atomic, checks, npz
from kvision.heads.forest import ForestHead
from kvision.heads.head import Head
from kvision.heads.knn import KNNHead
from kvision.heads.logistic import LogisticHead
from kvision.heads.prototype import PrototypeHead

__all__ = ["load", "save"]

_KINDS = {kind.__name__: kind for kind in (KNNHead, ForestHead, LogisticHead, PrototypeHead)}
_RENAMED = {"k": "n_neighbors"}  # parameters in older files


def save(head: Head, path: str | Path) -> None:
    """Writes a fitted head to one `.npz` file, which holds its learned arrays, and its class and parameters as JSON.

    Args:
        head: A fitted `KNNHead`, `ForestHead`, `LogisticHead` or `PrototypeHead`.
        path: The file. It appears only when it is complete, and it replaces an older file.
    """
    checks.one_of("head", type(head).__name__, _KINDS)
    learned = {n: np.asarray(v) for n, v in vars(head).items() if n.endswith("_") and not n.startswith("_")}
    # Class names and the column names of a table may be Python objects, which NumPy would pickle.
    learned = {n: v.astype(str) if v.dtype == object else v for n, v in learned.items()}
    about = json.dumps({"head": type(head).__name__, "parameters": head.get_params()})
    with atomic.file(path) as temporary, temporary.open("wb") as stream:  # np.savez would add a suffix to a path
        np.savez(stream, about=np.array(about), **learned)


def load(path: str | Path) -> Head:
    """Reads a head that `save` wrote. The file holds no code that runs, so a file from a stranger is safe to read.

    Args:
        path: The file.

    Returns:
        The fitted head. The shapes of its arrays agree, all indices are in range, and all numbers are finite.

    Raises:
        UserError: If the file is absent or damaged, or is not the file of a head.

    Example:
        >>> head = kv.heads.KNNHead(1).fit([[0.0], [1.0]], ["cat", "dog"])
        >>> kv.heads.save(head, "head.npz")
        >>> kv.heads.load("head.npz").predict([[0.8]]).tolist()
        ['dog']
    """
    try:
        return _read(path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as reason:
        raise checks.UserError(
            "path",
            problem=f"cannot be read as a head: {' '.join(str(reason).split())[:300].rstrip('.')}",
            expected="a file that kv.heads.save wrote",
            received=str(path),
            hint="Save the head again",
        ) from reason


def _read(path: str | Path) -> Head:
    """Returns the head in a file, or raises any of the errors that `load` explains."""
    learned = npz.read(path, stored=True)
    about = json.loads(str(learned.pop("about")))
    parameters = {_RENAMED.get(name, name): value for name, value in about["parameters"].items()}
    head = _KINDS[about["head"]](**parameters)
    for name, value in learned.items():
        if name.startswith("_") or not name.endswith("_"):
            raise ValueError(f"it holds an array of the name {name!r}")
        setattr(head, name, value if value.ndim else value.item())
    classes, width = head.classes_, head.n_features_in_
    if np.ndim(classes) != 1 or len(classes) < 2 or not np.array_equal(np.unique(classes), classes):
        raise ValueError("classes_ are not two or more sorted labels")
    if type(width) is not int or width < 1:
        raise ValueError(f"n_features_in_ is {width!r}")
    head._check_learned()
    head.to_layer()
    return head
