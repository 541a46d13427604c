import sys

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.training import lines
from kvision.training.lines import Lines


def told(capsys, epochs: int, end: int | None = None) -> list[str]:
    callback = Lines()
    callback.set_params({"epochs": epochs, "steps": 7})
    for epoch in range(end or epochs):
        callback.on_epoch_begin(epoch)
        callback.on_train_batch_end(2, {"loss": 1.0})
        callback.on_epoch_end(epoch, {"loss": np.float32(0.5), "val_loss": 2})
    callback.on_train_end()
    return capsys.readouterr().out.splitlines()


def test_a_line_for_each_tenth(capsys):
    assert told(capsys, 30) == [f"Epoch {3 * i}/30 - loss: 0.5 - val_loss: 2" for i in range(1, 11)]
    assert [line.split()[1] for line in told(capsys, 3)] == ["1/3", "2/3", "3/3"]


def test_an_early_end_slow_epochs_and_slow_steps_are_told(capsys, monkeypatch):
    assert [line.split()[1] for line in told(capsys, 100, end=4)] == ["4/100"]
    monkeypatch.setattr(lines.progress, "INTERVAL", 0.0)
    assert [line.split()[1] for line in told(capsys, 100, end=4)] == ["1/100", "2/100", "3/100", "4/100"]
    monkeypatch.setattr(lines, "_WITHIN", 0.0)
    assert told(capsys, 100, end=1)[0] == "Epoch 1/100 - step 3/7 - loss: 1"


@pytest.mark.parametrize(
    ("terminal", "verbose", "bar"), [(False, "auto", False), (True, "auto", True), (False, 2, True)]
)
def test_keras_own_bar_is_for_terminals_and_where_it_is_asked_for(terminal, verbose, bar, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    x = np.ones((2, 1), "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    kv.training.fit(model, (x, x), epochs=1, verbose=verbose)
    out = capsys.readouterr().out
    assert ("s/step" in out or "ms/step" in out) == bar and ("Epoch 1/1 - loss: " in out) != bar
    assert lines.verbosity(verbose) == ("auto" if terminal else 2)
