import keras
import numpy as np

from kvision.training import KeepBest, PhaseRate
from kvision.training.callbacks import Callbacks


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


def test_phase_rate_sees_every_step():
    m, seen = model(), []

    def rate(progress: float) -> float:
        seen.append(progress)
        return 0.5 + progress

    m.fit(np.ones((6, 1)), np.ones((6, 1)), batch_size=2, epochs=2, callbacks=[PhaseRate(rate, epochs=2)], verbose=0)
    np.testing.assert_allclose(seen, np.arange(6) / 6)
    assert float(m.optimizer.learning_rate) == np.float32(0.5 + 5 / 6)


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
    order = []
    every.restore(lambda: order.append(len(diary.said)), before_beginning=False)
    every.offset, every.last = 3, False
    m.fit(x, x, batch_size=2, epochs=1, callbacks=every)
    every.last = True
    m.fit(x, x, batch_size=2, initial_epoch=1, epochs=2, callbacks=every)
    assert diary.said == ["begin", "epoch 0", 3, -3, 4, -4, "epoch 1", 0, 0, 1, -1, "end"]
    assert order == [1], "put back once, after the beginning"
    assert every.history.epoch == [0, 1]


def test_what_was_kept_can_be_put_back_before_the_beginning():
    diary, m, x, order = Diary(), model(), np.ones((2, 1)), []
    every = Callbacks([diary], model=m, verbose=0, epochs=1, steps=1)
    every.restore(lambda: order.append(len(diary.said)), before_beginning=True)
    m.fit(x, x, epochs=1, callbacks=every)
    assert order == [0] and diary.said[0] == "begin"


def test_control_keras_own_list_begins_and_ends_twice():
    diary, m, x = Diary(), model(), np.ones((4, 1))
    every = keras.callbacks.CallbackList([diary], add_history=True, model=m, verbose=0, epochs=2, steps=2)
    for epoch in range(2):
        m.fit(x, x, batch_size=2, initial_epoch=epoch, epochs=epoch + 1, callbacks=every)
    assert diary.said.count("begin") == diary.said.count("end") == 2
