"""Saves and restores the state of callbacks in a checkpoint.

A callback that must continue after a killed run has two methods. `get_state()` returns a dictionary of numbers,
strings, None and lists of arrays. `set_state(state)` takes this dictionary. Keras' own callbacks do not have these
methods, so `KERAS` lists the attributes that are their state. All remaining attributes are settings, which the
constructor of the callback sets.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

__all__ = ["KERAS", "get", "put"]

KERAS: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("best", "best_epoch", "best_weights", "stopped_epoch", "wait"),
    keras.callbacks.ReduceLROnPlateau: ("best", "cooldown_counter", "wait"),
    keras.callbacks.ModelCheckpoint: ("best",),
}
"""For each class of Keras' callbacks, the names of the attributes that are its state."""


def _names(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    return next((names for kind, names in KERAS.items() if isinstance(callback, kind)), ())


def _kind(callback: keras.callbacks.Callback) -> list[str | None]:
    """The class and the monitored log of a callback. If the log differs, the saved best value has no meaning."""
    monitor = getattr(callback, "monitor", None)
    return [type(callback).__name__, monitor if isinstance(monitor, str) else None]


def get(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Returns the state of all callbacks: a record that can be written as JSON, and a dict of arrays by name."""
    record, arrays = [], {}
    for index, callback in enumerate(callbacks):
        if hasattr(callback, "get_state"):
            state = callback.get_state()
        elif names := _names(callback):
            state = {name: getattr(callback, name, None) for name in names}
        else:
            continue
        kept: dict[str, Any] = {"kind": _kind(callback), "values": {}, "lists": {}}
        for name, value in state.items():
            if isinstance(value, list):
                kept["lists"][name] = len(value)
                # `Model.get_weights` returns a scalar as a plain number.
                arrays |= {f"callback-{index}-{name}-{i}": np.asarray(one) for i, one in enumerate(value)}
            else:
                kept["values"][name] = value.item() if isinstance(value, np.generic) else value
        record.append({"index": index, **kept})
    return record, arrays


def put(callbacks: Sequence[keras.callbacks.Callback], record: list[dict], arrays: dict[str, np.ndarray]) -> None:
    """Restores the state of callbacks.

    Callbacks are matched by class and log: the first callback gets the first state in the record, the second callback
    gets the second state, and so on. The position in the list of callbacks does not matter.

    Args:
        callbacks: The callbacks of this process.
        record: The record that `get` returned.
        arrays: The arrays that `get` returned. Arrays that are restored are removed from this dict.
    """
    left = list(callbacks)
    for kept in record:
        callback = next((each for each in left if _kind(each) == kept["kind"]), None)
        if callback is None:
            continue
        left.remove(callback)
        lists = {
            name: [arrays.pop(f"callback-{kept['index']}-{name}-{i}") for i in range(count)]
            for name, count in kept["lists"].items()
        }
        state = {**kept["values"], **lists}
        if hasattr(callback, "set_state"):
            callback.set_state(state)
        else:
            vars(callback).update({name: value for name, value in state.items() if name in _names(callback)})
