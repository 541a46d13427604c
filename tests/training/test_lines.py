import sys

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.training import lines

X = np.ones((4, 1), "float32")


@pytest.fixture
def model() -> keras.Model:
    m = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    m.compile("sgd", "mse", run_eagerly=True)
    return m


def told(model, capsys, epochs: int, *callbacks) -> list[str]:
    kv.training.fit(model, (X, X), epochs=epochs, batch_size=4, callbacks=callbacks)
    return capsys.readouterr().out.splitlines()


def test_a_line_for_each_tenth_and_no_bar(model, capsys):
    found = told(model, capsys, 30)
    assert [line.split(" - ")[0] for line in found] == [f"Epoch {3 * i}/30" for i in range(1, 11)]
    assert found[0].split(" - ")[1].startswith("loss: ")


def test_an_early_end_is_told_and_slow_epochs_are_told_each(model, capsys, monkeypatch):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 3

    assert [line.split()[1] for line in told(model, capsys, 100, Stop())] == ["4/100"]
    monkeypatch.setattr(lines.progress, "INTERVAL", 0.0)
    assert [line.split()[1] for line in told(model, capsys, 100, Stop())] == ["1/100", "2/100", "3/100", "4/100"]
    monkeypatch.setattr(lines, "_WITHIN", 0.0)
    assert "Epoch 1/100 - step 1/1 - loss: " in told(model, capsys, 100, Stop())[0]


def test_on_a_terminal_and_where_it_is_asked_for_keras_draws_its_bar(model, capsys, monkeypatch):
    kv.training.fit(model, (X, X), epochs=1, verbose=2)
    assert "s/step" in capsys.readouterr().out
    assert lines.verbosity("auto") == 2 and lines.verbosity(1) == 1
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert lines.verbosity("auto") == "auto"
    kv.training.fit(model, (X, X), epochs=1)
    assert "s/step" in capsys.readouterr().out
