import keras
import numpy as np

from kvision.training import KeepBest, PhaseRate


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
