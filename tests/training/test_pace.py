import time

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.training import pace


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def epoch(clock, *, reads: float, works: float, steps: int = 10, parts: int = 1, rows: int = 8) -> pace.Pace:
    """A pipeline that gives a batch in `reads` seconds and one batch ahead; a model that takes `works`."""
    watched = pace.Pace(rows, parts)
    watched.on_epoch_begin(3)
    ready = clock.now
    events = []
    for step in range(steps):
        ready = max(ready, events[-2][1] if step > 1 else ready) + reads
        began = events[-1][2] if events else clock.now
        events.append((began, ready, max(began, ready) + works))
    for began, ready, ended in events:
        clock.now = began
        watched.on_train_batch_begin(0)
        clock.now = ready
        for _ in range(parts):
            watched.taken(0)
        clock.now = ended
        watched.on_train_batch_end(0)
    watched.taken(1)  # a pass that Keras begins and drops
    watched.on_epoch_end(3)
    return watched


@pytest.mark.parametrize("parts", [1, 2])
def test_a_slow_pipeline_is_named_with_both_rates(clock, capsys, parts):
    watched = epoch(clock, reads=1.0, works=0.25, parts=parts)
    assert watched.share == pytest.approx(0.75)
    text = capsys.readouterr().err
    assert text.startswith(
        "Epoch 4: the model waits for its data 75% of the time: 8 images/s are read, and the model could take 32."
    )


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({"reads": 0.25, "works": 1.0}, 0),
        ({"reads": 0.05, "works": 0.01}, 0.8),  # less than a second in all
        ({"reads": 1.0, "works": 0.25, "steps": 4}, 0),  # too few to tell
        ({"reads": 1.2, "works": 1.0}, 1 / 6),
    ],
)
def test_otherwise_it_is_silent(clock, capsys, options, share):
    assert epoch(clock, **options).share == pytest.approx(share)
    assert capsys.readouterr().err == ""


def test_without_stamps_nothing_is_said(clock, capsys):
    watched = pace.Pace(8)
    watched.on_epoch_begin(0)
    for _ in range(10):
        watched.on_train_batch_begin(0)
        clock.now += 1
        watched.on_train_batch_end(0)
    watched.on_epoch_end(0)
    assert watched.share == 0 and capsys.readouterr().err == ""


def test_in_a_training(capsys):
    def read(rows):
        time.sleep(0.2)
        return np.zeros((len(rows), 2), "float32"), np.zeros((len(rows), 1), "float32")

    spec = (keras.KerasTensor((None, 2)), keras.KerasTensor((None, 1)))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    source = kv.training.Source(read, 32, 2, spec)
    kv.training.fit(model, source, epochs=1, verbose=0)
    slow = "waits for its data" in capsys.readouterr().err
    kv.training.fit(model, (np.zeros((32, 2)), np.zeros((32, 1))), epochs=1, batch_size=2, verbose=0)
    assert slow and capsys.readouterr().err == ""
