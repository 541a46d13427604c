import sys
from typing import Any

import keras
import numpy as np
import pytest
from trainings import attached

import kvision as kv
from kvision.checks import UserError
from kvision.schedules.find_learning_rate import _valley

RANDOM = np.random.default_rng(1)
LABELS = np.arange(64) % 3
# brightness tells the class: something to learn
IMAGES = np.clip(RANDOM.normal(60 + 60 * LABELS[:, None, None, None], 20, (64, 16, 16, 3)), 0, 255).astype("float32")

EVERYTHING = kv.schedules.Phase(0, "all", norm="train")


def test_learning_rates_grow_by_equal_factors_and_losses_fall_then_diverge():
    found = kv.schedules.find_learning_rate(attached(), (IMAGES, LABELS), phase=EVERYTHING, steps=60, batch_size=16)
    np.testing.assert_allclose(np.diff(np.log(found.learning_rates)), np.log(1e8) / 59, rtol=1e-5)
    assert found.learning_rates[0] == pytest.approx(1e-7) and len(found.learning_rates) <= 60
    best = int(found.losses.argmin())
    assert found.losses[best] < 0.9 * found.losses[0]
    assert found.learning_rates[0] < found.suggestion < found.learning_rates[best]


def test_the_suggestion_trains_better_than_a_hundredth_and_a_thousandfold(eager):
    best = kv.schedules.find_learning_rate(attached(), (IMAGES, LABELS), phase=EVERYTHING, batch_size=16).suggestion
    losses = {}
    for factor in (0.01, 1, 1000):
        steps = [kv.schedules.Phase(0, "all", best * factor, norm="train")]
        history = kv.schedules.fit(attached(), (IMAGES, LABELS), steps, epochs=5, batch_size=16, verbose=0).history
        losses[factor] = history["loss"][-1]
    assert losses[1] == min(losses.values()), (best, losses)


def test_everything_is_put_back(eager):
    model = attached()
    kv.schedules.freeze(model, above="top")
    before, trainable = [keras.ops.convert_to_numpy(v).copy() for v in model.variables], len(model.trainable_variables)
    kv.schedules.find_learning_rate(model, (IMAGES, LABELS), phase=EVERYTHING, steps=20, batch_size=16)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    assert len(model.trainable_variables) == trainable and model.get_layer("body").norm == "frozen"
    assert model.get_layer("body").backbone.get_layer("bn").trainable is False


def test_the_valleys_middle():
    """fastai's valley on a curve with a fall from 10 to 29: the middle of it."""
    losses = [5.0] * 10 + [5 - 0.2 * i for i in range(1, 21)] + [10.0] * 5
    assert _valley(losses) == 9 + 6 + 3  # start 9, a third of the 20 steps, half of a third


def test_errors():
    model = attached()
    with pytest.raises(UserError, match="`learning_rates`"):
        kv.schedules.find_learning_rate(model, (IMAGES, LABELS), learning_rates=(1, 0.1))
    with pytest.raises(UserError, match=r"kv\.transfer\.attach"):
        kv.schedules.find_learning_rate(model.get_layer("body").backbone, (IMAGES, LABELS))
    with pytest.raises(UserError, match="`steps`"):
        kv.schedules.find_learning_rate(model, (IMAGES, LABELS), steps=3)
    with pytest.raises(UserError, match="learned nothing"):
        kv.schedules.find_learning_rate(model, (0 * IMAGES, 0 * LABELS), learning_rates=(1e-30, 1e-29), steps=20)


class Constant(keras.losses.Loss):
    """The mean of the targets, whatever the weights are: the losses of the steps are known."""

    def call(self, y_true, y_pred):
        return keras.ops.cast(keras.ops.mean(y_true), "float32") + 0 * keras.ops.mean(y_pred, axis=-1)


def test_a_smaller_last_batch_counts_as_a_step_of_its_own_and_steps_are_those_asked_for(eager, monkeypatch):
    """33 rows in batches of 32: the last one's loss is its own, though Keras' mean of the epoch hides it."""
    module = sys.modules["kvision.schedules.find_learning_rate"]  # the package has the function of that name
    for name, value in {"_SMOOTHING": 0.0, "_DIVERGED": 1e9, "_found": lambda *found: found}.items():
        monkeypatch.setattr(module, name, value)
    model, targets = attached(), np.arange(1.0, 34.0)
    optimizer = kv.training.SGD()
    found: Any = kv.schedules.find_learning_rate(
        model, (IMAGES[:33], targets), steps=11, loss=Constant(), optimizer=optimizer, learning_rates=(1e-7, 1e-6)
    )
    learning_rates, losses = found
    orders = [np.random.default_rng([0, epoch]).permutation(33) for epoch in range(6)]
    expected = [targets[part].mean() for order in orders for part in (order[:32], order[32:])]
    np.testing.assert_allclose(losses, expected[:11], rtol=1e-5)
    assert len(learning_rates) == int(optimizer.iterations) == 11 and learning_rates[-1] == pytest.approx(1e-6)
