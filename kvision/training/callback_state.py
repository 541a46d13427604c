"""What a checkpoint keeps of the callbacks of a training.

A callback that must continue after a killed run has two methods: `get_state()` returns a dictionary of numbers,
strings, None and lists of arrays, and `set_state(state)` takes it. Keras' own callbacks have neither: `KERAS` names
what of them is state. Everything else is a setting, which the callback at hand has from its constructor.
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
"""The state of Keras' callbacks, by the names of their attributes."""


def _names(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    return next((names for kind, names in KERAS.items() if isinstance(callback, kind)), ())


def _kind(callback: keras.callbacks.Callback) -> list[str | None]:
    """By what a callback is known again: with another log, another best is no best."""
    monitor = getattr(callback, "monitor", None)
    return [type(callback).__name__, monitor if isinstance(monitor, str) else None]


def get(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Returns the state of all callbacks: as JSON, and arrays by name."""
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
                # `Model.get_weights` gives a scalar as a number.
                arrays |= {f"callback-{index}-{name}-{i}": np.asarray(one) for i, one in enumerate(value)}
            else:
                kept["values"][name] = value.item() if isinstance(value, np.generic) else value
        record.append({"index": index, **kept})
    return record, arrays


def put(callbacks: Sequence[keras.callbacks.Callback], record: list[dict], arrays: dict[str, np.ndarray]) -> None:
    """Gives callbacks their state back.

    The first callback of a class and log gets the state of the first one, and so on, wherever they stand.

    Args:
        callbacks: The callbacks at hand.
        record: What `get` returned first.
        arrays: What it returned second. The arrays that are given back are removed.
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
