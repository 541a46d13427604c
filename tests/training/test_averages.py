import keras
import numpy as np
import pytest

import kvision as kv
from kvision.training.averages import averaged
from kvision.training.resume import resuming

X = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0]])).astype("float32")
MOMENTUM = 0.8


def model(**options) -> keras.Model:
    layers = [keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    net = keras.Sequential(layers)
    net.compile(kv.training.SGD(0.05, use_ema=True, ema_momentum=MOMENTUM, **options), "mse")
    return net


class Raw(keras.callbacks.Callback):
    """The weights after every step, and what stands in the model at an epoch's end."""

    def __init__(self):
        super().__init__()
        self.steps, self.ends = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.get_weights()[0].copy())

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(self.model.get_weights()[0].copy())


def oracle(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Keras' average: begins at the first step's weights."""
    averages = [weights[0]]
    for value in weights[1:]:
        averages.append(MOMENTUM * averages[-1] + (1 - MOMENTUM) * value)
    return averages


def test_averages_are_validated_seen_by_callbacks_and_left_in_the_model():
    net, raw = model(), Raw()
    history = kv.training.fit(
        net, (X, Y), epochs=3, batch_size=8, validation_data=(X, Y), callbacks=[raw], verbose=0
    ).history
    averages = oracle(raw.steps)
    for epoch, value in enumerate(raw.ends):
        np.testing.assert_allclose(value, averages[4 * epoch + 3], atol=1e-6)
        error = float(np.mean((X @ averages[4 * epoch + 3] - Y) ** 2))
        assert history["val_loss"][epoch] == pytest.approx(error, rel=1e-4)
    np.testing.assert_allclose(net.get_weights()[0], averages[-1], atol=1e-6)
    assert np.abs(raw.steps[-1] - averages[-1]).max() > 1e-3, "control: they differ"


def test_the_raw_weights_go_on_training():
    """The same steps as without averages."""
    raw, plain = Raw(), Raw()
    kv.training.fit(model(), (X, Y), epochs=2, batch_size=8, validation_data=(X, Y), callbacks=[raw], verbose=0)
    net = model()
    net.compile(kv.training.SGD(0.05), "mse")
    kv.training.fit(net, (X, Y), epochs=2, batch_size=8, callbacks=[plain], verbose=0)
    np.testing.assert_allclose(raw.steps, plain.steps, atol=1e-6)


def test_not_final_leaves_the_raw_weights():
    net, raw = model(), Raw()
    with resuming(None, net) as run:
        run.final = False
        kv.training.fit(net, (X, Y), epochs=1, batch_size=8, callbacks=[raw], verbose=0, checkpoints=run)
    np.testing.assert_array_equal(net.get_weights()[0], raw.steps[-1])


def test_an_error_while_the_averages_are_in_takes_them_out():
    net = model()
    kv.training.fit(net, (X, Y), epochs=1, batch_size=8, verbose=0)
    before = net.get_weights()[0]
    net.optimizer._model_variables_moving_average[0].assign(before + 1)
    with pytest.raises(ZeroDivisionError), averaged(net) as (first, _):
        first[0].on_test_begin()
        assert np.abs(net.get_weights()[0] - before).max() > 0
        raise ZeroDivisionError
    np.testing.assert_array_equal(net.get_weights()[0], before)


def test_nothing_without_averages():
    net = model()
    net.compile("sgd", "mse")
    with averaged(net) as callbacks:
        assert callbacks == ([], [])


@pytest.mark.parametrize("final", [True, False])
def test_the_best_epochs_averages_that_a_callback_puts_back_stay(final):
    net, raw = model(), Raw()
    worst = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=2, restore_best_weights=True)
    options = {"validation_data": (X, Y), "callbacks": [raw, worst]}
    with resuming(None, net) as run:
        run.final = final
        history = kv.training.fit(net, (X, Y), epochs=9, batch_size=8, verbose=0, checkpoints=run, **options).history
    assert len(history["loss"]) == 3 and len(raw.ends) == 3, "the first was the best"
    np.testing.assert_array_equal(net.get_weights()[0], raw.ends[0])
    assert np.abs(raw.ends[0] - raw.ends[-1]).max() > 1e-3, "control"
