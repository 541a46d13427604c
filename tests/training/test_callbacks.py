import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.checks import UserError
from kvision.training import Clock, KeepBest, PhaseRate, PhaseValue
from kvision.training.callbacks import Callbacks, verbosity


class Given(keras.callbacks.Callback):
    """Makes epoch e's weights [e] and its score the given one."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), float(epoch))])
        if logs is not None:
            logs["val_accuracy"] = self.scores[epoch]


def model() -> keras.Model:
    m = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    m.compile("sgd", "mse")
    return m


def test_keep_best_spans_several_fits_and_takes_the_first_of_equals():
    m, best = model(), KeepBest()
    x = np.ones((2, 1))
    given = Given([0.2, 0.9, 0.5, 0.9, 0.1])
    m.fit(x, x, epochs=2, callbacks=[given, best], verbose=0)
    m.fit(x, x, initial_epoch=2, epochs=5, callbacks=[given, best], verbose=0)
    assert (best.epoch, best.value) == (1, 0.9)
    assert m.get_weights()[0] == 4
    best.restore()
    assert m.get_weights()[0] == 1


def test_keep_best_of_a_log_that_is_not_there_is_said():
    m, x = model(), np.ones((2, 1))
    with pytest.raises(UserError, match=r"`monitor` names no log.*one of loss. Received: 'val_accuracy'.*validation_"):
        m.fit(x, x, epochs=1, callbacks=[KeepBest()], verbose=0)


def test_phase_rate_sees_every_step():
    m, seen = model(), []

    def rate(progress: float) -> float:
        seen.append(progress)
        return 0.5 + progress

    m.fit(np.ones((6, 1)), np.ones((6, 1)), batch_size=2, epochs=2, callbacks=[PhaseRate(rate, epochs=2)], verbose=0)
    np.testing.assert_allclose(seen, np.arange(6) / 6)
    assert float(m.optimizer.learning_rate) == np.float32(0.5 + 5 / 6)


class Dial(keras.layers.Layer):
    """A weight that does not train, and what it was in each step."""

    def __init__(self):
        super().__init__()
        self.number = self.add_weight((), initializer="zeros", trainable=False, name="number")
        self.seen = self.add_weight((64,), initializer="zeros", trainable=False, name="seen")
        self.step = self.add_weight((), initializer="zeros", dtype="int32", trainable=False, name="step")

    def call(self, x, training=False):
        if training:
            here = keras.ops.arange(64) == self.step
            self.seen.assign(keras.ops.where(here, self.number, self.seen))
            self.step.assign(self.step + 1)
        return x


def dialed() -> keras.Model:
    keras.utils.set_random_seed(0)
    m = keras.Sequential([keras.Input((1,)), Dial(), keras.layers.Dense(1, use_bias=False)])
    m.compile("sgd", "mse")
    return m


def value(progress: float) -> float:
    return 1 - (1 - 0.9) * (np.cos(np.pi * progress) + 1) / 2  # BYOL's momentum


def callback(**options) -> PhaseValue:
    return PhaseValue(value, lambda m, number: m.layers[0].number.assign(number), **options)


X = np.ones((6, 1), "float32")


def seen(m: keras.Model, count: int) -> np.ndarray:
    assert int(kv.distribute.values.read(m.layers[0].step)) == count
    return kv.distribute.values.read(m.layers[0].seen)[:count]


@pytest.mark.parametrize("parts", [(3,), (1, 3), (2, 3)])
def test_a_layers_weight_follows_the_progress_over_several_fits(parts):
    m, done, one = dialed(), 0, callback(epochs=3)
    for end in parts:
        m.fit(X, X, batch_size=2, initial_epoch=done, epochs=end, callbacks=[one], verbose=0)
        done = end
    np.testing.assert_array_equal(seen(m, 9), [np.float32(value(step / 9)) for step in range(9)])


def test_it_counts_from_its_first_epoch_and_does_not_go_beyond_its_end():
    m = dialed()
    m.fit(X, X, batch_size=2, initial_epoch=4, epochs=7, callbacks=[callback(first_epoch=4, epochs=2)], verbose=0)
    expected = [value(min(step / 6, 1.0)) for step in range(9)]
    np.testing.assert_array_equal(seen(m, 9), np.float32(expected))
    assert expected[5] < 1 == expected[6] == expected[8]


class Strike(keras.callbacks.Callback):
    def __init__(self, step: int = 4):  # in the middle of the second epoch
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self._step:
            raise KeyboardInterrupt


def test_a_training_that_is_resumed_in_an_epoch_goes_on_with_it(tmp_path):
    m = dialed()
    with pytest.raises(KeyboardInterrupt):
        keeper = kv.training.Resume(tmp_path, every=1)
        given = {"checkpoints": keeper, "callbacks": [callback(epochs=3), Strike()]}
        kv.training.fit(m, (X, X), epochs=3, batch_size=2, verbose=0, **given)
    again = dialed()
    given = {"checkpoints": tmp_path, "callbacks": [callback(epochs=3)]}
    kv.training.fit(again, (X, X), epochs=3, batch_size=2, verbose=0, **given)
    np.testing.assert_array_equal(seen(again, 9), [np.float32(value(step / 9)) for step in range(9)])


def test_an_epoch_of_unknown_length_is_refused_before_it_moves_a_rate():
    def pairs():
        for _ in range(3):
            yield X[:2], X[:2]

    spec = tf.TensorSpec((None, 1))
    unknown = tf.data.Dataset.from_generator(pairs, output_signature=(spec, spec))
    m, rate = model(), PhaseRate(value, epochs=2)
    before = float(m.optimizer.learning_rate)
    with pytest.raises(UserError, match="`epochs` of PhaseRate have an unknown number of steps"):
        kv.training.fit(m, unknown, epochs=2, verbose=0, callbacks=[rate])
    with pytest.raises(UserError, match="steps_per_epoch"):
        m.fit(pairs(), epochs=1, shuffle=False, verbose=0, callbacks=[rate])
    assert float(m.optimizer.learning_rate) == before
    kv.training.fit(m, unknown.apply(tf.data.experimental.assert_cardinality(3)), epochs=2, verbose=0, callbacks=[rate])
    assert float(m.optimizer.learning_rate) == np.float32(value(5 / 6)), "control: told"


class Read(keras.callbacks.Callback):
    """What a clock says, after each step and epoch."""

    def __init__(self, clock):
        super().__init__()
        self._clock, self._said = clock, []

    def on_epoch_begin(self, epoch, logs=None):
        self._said.append(self._clock.seconds)

    def on_train_batch_end(self, batch, logs=None):
        self.on_epoch_begin(0)

    def on_epoch_end(self, epoch, logs=None):
        self.on_epoch_begin(epoch)


def test_a_training_that_is_ended_in_an_epoch_counts_its_seconds(tmp_path):
    first, second = Clock(), Clock()
    before, after = Read(first), Read(second)
    options = {"epochs": 3, "batch_size": 2, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        keeper = kv.training.Resume(tmp_path, every=1)
        kv.training.fit(dialed(), (X, X), checkpoints=keeper, callbacks=[first, before, Strike(5)], **options)
    *_, begun, kept, lost = before._said
    kv.training.fit(dialed(), (X, X), checkpoints=tmp_path, callbacks=[second, after], **options)
    assert after._said[0] == kept > begun, "of the last step that a checkpoint holds, not of the epoch's beginning"
    assert lost > kept and after._said == sorted(after._said) and second.seconds > kept


def test_a_clock_counts_what_follows_the_last_step_of_an_epoch_once():
    class Slow(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            time.sleep(0.3)

    clock, began = Clock(), time.monotonic()
    m = model()
    m.fit(X, X, epochs=2, verbose=0, validation_data=(X, X), callbacks=[clock, Slow()])
    assert 0.6 < clock.seconds <= time.monotonic() - began


def test_a_rate_is_such_a_value():
    m, rates = model(), []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(float(m.optimizer.learning_rate))
    )
    m.fit(X, X, batch_size=2, epochs=2, callbacks=[PhaseRate(value, epochs=2), record], verbose=0)
    np.testing.assert_array_equal(rates, [np.float32(value(step / 6)) for step in range(6)])


class Diary(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.said = []

    def on_train_begin(self, logs=None):
        self.said.append("begin")

    def on_train_end(self, logs=None):
        self.said.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.said.append(f"epoch {epoch}")

    def on_train_batch_begin(self, batch, logs=None):
        self.said.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.said.append(-batch)


def test_several_fits_are_one_training_for_callbacks():
    diary, m, x = Diary(), model(), np.ones((4, 1))
    every = Callbacks([diary], model=m, verbose=0, epochs=2, steps=5)
    every.offset, every.last = 3, False
    m.fit(x, x, batch_size=2, epochs=1, callbacks=every)
    every.last = True
    m.fit(x, x, batch_size=2, initial_epoch=1, epochs=2, callbacks=every)
    assert diary.said == ["begin", "epoch 0", 3, -3, 4, -4, "epoch 1", 0, 0, 1, -1, "end"]
    assert every.history.epoch == [0, 1]


def test_control_keras_own_list_begins_and_ends_twice():
    diary, m, x = Diary(), model(), np.ones((4, 1))
    every = keras.callbacks.CallbackList([diary], add_history=True, model=m, verbose=0, epochs=2, steps=2)
    for epoch in range(2):
        m.fit(x, x, batch_size=2, initial_epoch=epoch, epochs=epoch + 1, callbacks=every)
    assert diary.said.count("begin") == diary.said.count("end") == 2


class Logs(Given):
    """Puts the scores under other names too."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        for name in ("val_loss", "val_mean_iou", "val_mine"):
            logs[name] = self.scores[epoch]


@pytest.mark.parametrize(
    ("monitor", "mode", "best"),
    [
        ("val_accuracy", "auto", 1),
        ("val_loss", "auto", 2),
        ("val_mean_iou", "auto", 1),
        ("val_mine", "min", 2),
        ("val_mine", "max", 1),
        ("val_loss", "max", 1),
    ],
)
def test_keep_best_knows_what_is_good_and_passes_over_nan(eager, monitor, mode, best):
    m, x, keep = model(), np.ones((2, 1)), KeepBest(monitor, mode)
    m.fit(x, x, epochs=4, callbacks=[Logs([np.nan, 0.9, 0.1, np.nan]), keep], verbose=0)
    assert keep.epoch == best and not np.isnan(keep.value)
    keep.restore()
    assert m.get_weights()[0] == best


def test_keep_best_asks_the_metric_and_says_what_it_cannot_know(eager):
    m, x = model(), np.ones((2, 1))
    m.compile("sgd", "mse", metrics=[keras.metrics.KLDivergence(name="mine")])
    keep = KeepBest("mine")
    m.fit(x, x, epochs=1, callbacks=[keep], verbose=0)
    assert keep._rises() is False, "a divergence falls"
    with pytest.raises(UserError, match=r"`mode` does not follow.*'max' if a high value is good.*'val_mine'"):
        m = model()
        m.fit(x, x, epochs=2, callbacks=[Logs([1.0, 2.0]), KeepBest("val_mine")], verbose=0)
    with pytest.raises(UserError, match="Did you mean 'max'"):
        KeepBest(mode="maxi")


@pytest.mark.parametrize(
    ("terminal", "verbose", "bar"), [(False, "auto", False), (True, "auto", True), (False, 1, True), (True, 2, False)]
)
def test_a_bar_is_for_terminals_and_where_it_is_asked_for(eager, terminal, verbose, bar, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    kv.training.fit(model(), (X, X), epochs=2, verbose=verbose)
    out = capsys.readouterr().out
    assert "Epoch 1/2" in out and "loss: " in out and ("━" in out) == bar
    assert verbosity("auto") == ("auto" if terminal else 2) and verbosity(0) == 0
