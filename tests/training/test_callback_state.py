"""A whole training that is killed and continues is tested in tests/training/test_resume.py."""

import json

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.training import callback_state


class Counter(keras.callbacks.Callback):
    """A user's callback with state and a setting."""

    def __init__(self, start: int = 0):
        super().__init__()
        self.start, self.count, self.rows = start, start, []

    def get_state(self):
        return {"count": self.count, "rows": self.rows}

    def set_state(self, state):
        self.count, self.rows = state["count"], state["rows"]


class Silent(keras.callbacks.Callback):
    """A user's callback without state."""

    count = 0


def moved(callbacks, others):
    """Gives the state of some callbacks to others, by way of JSON."""
    record, arrays = callback_state.get(callbacks)
    callback_state.put(others, json.loads(json.dumps(record)), arrays)
    assert not arrays, "arrays that were given back are not held"


def test_the_pair_of_methods_carries_numbers_and_arrays():
    one, other = Counter(), Counter(start=5)
    one.count, one.rows = np.int64(3), [np.arange(4), np.float32(2.5)]
    moved([Silent(), one], [other, Silent()])
    assert other.count == 3 and other.start == 5, "settings stay"
    np.testing.assert_array_equal(other.rows[0], np.arange(4))
    assert other.rows[1] == 2.5


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (keras.callbacks.EarlyStopping, {"wait": 2, "best": 0.5, "best_epoch": 3, "best_weights": [np.ones(2)]}),
        (keras.callbacks.ReduceLROnPlateau, {"wait": 1, "best": 0.25, "cooldown_counter": 4}),
        (keras.callbacks.ModelCheckpoint, {"best": 0.75}),
    ],
)
def test_keras_own(kind, changed, tmp_path):
    place = [str(tmp_path / "x.keras")] if kind is keras.callbacks.ModelCheckpoint else []
    one, other = kind(*place, monitor="loss"), kind(*place, monitor="loss", verbose=1)
    vars(one).update(changed)
    moved([one], [other])
    assert other.verbose == 1, "settings stay"
    for name, value in changed.items():
        np.testing.assert_array_equal(getattr(other, name), value)


def test_names_of_keras_attributes_are_there():
    """A new version of Keras that calls them otherwise must not lose them in silence."""
    callbacks = [
        keras.callbacks.EarlyStopping("loss"),
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.ModelCheckpoint("x.keras", "loss"),
    ]
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.ModelCheckpoint):
            callback.on_train_begin()
        assert all(hasattr(callback, name) for name in callback_state.KERAS[type(callback)])


def test_each_gets_what_one_of_its_class_and_log_had():
    first, second = kv.training.KeepBest("loss"), kv.training.KeepBest("accuracy")
    first.value, second.value = 0.1, 0.9
    loss, accuracy, third = (kv.training.KeepBest(log) for log in ("loss", "accuracy", "val_loss"))
    moved([first, second], [third, accuracy, loss])
    assert (loss.value, accuracy.value, third.value) == (0.1, 0.9, None)
