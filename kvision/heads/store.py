"""Heads on disk: arrays and JSON, no code."""

import json
from pathlib import Path

import numpy as np

from kvision import atomic, checks, npz
from kvision.heads.forest import ForestHead
from kvision.heads.head import Head
from kvision.heads.knn import KNNHead
from kvision.heads.logistic import LogisticHead

__all__ = ["load", "save"]

_KINDS = {kind.__name__: kind for kind in (KNNHead, ForestHead, LogisticHead)}


def save(head: Head, path: str | Path) -> None:
    """Writes a fitted head as one file (NumPy's `.npz`): learned arrays, and class and parameters as JSON text."""
    checks.one_of("head", type(head).__name__, _KINDS)
    learned = {n: v for n, v in vars(head).items() if n.endswith("_") and not n.startswith("_")}
    about = json.dumps({"head": type(head).__name__, "parameters": head.get_params()})
    with atomic.file(path) as temporary, temporary.open("wb") as stream:  # savez would add a suffix to a name
        np.savez(stream, about=np.array(about), **learned)


def load(path: str | Path) -> Head:
    """Reads what `save` wrote; UserError for a file that is damaged, foreign, or holds anything but arrays."""
    try:
        learned = npz.read(path, stored=True)
        about = json.loads(str(learned.pop("about")))
        head = _KINDS[about["head"]](**about["parameters"])
        for name, value in learned.items():
            if not name.isidentifier() or not name.endswith("_") or name.startswith("_") or hasattr(head, name):
                raise ValueError(f"it holds an array of the name {name!r}")
            setattr(head, name, value if value.ndim else value.item())
        head.to_layer()  # assigns every array to a weight of fixed shape: a missing or misshapen one raises here
    except (ValueError, KeyError, TypeError, AttributeError) as reason:
        raise checks.error(
            "path",
            problem=f"cannot be read as a head: {reason}",
            expected="a file that kv.heads.save wrote",
            received=str(path),
        ) from reason
    return head
