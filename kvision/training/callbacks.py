"""Keras callbacks for trainings that run as several `fit` calls."""

from collections.abc import Callable

import keras

__all__ = ["KeepBest", "PhaseRate"]


class PhaseRate(keras.callbacks.Callback):
    """Sets the learning rate before every step from the progress within one `fit`.

    rate: a function progress in [0, 1) -> learning rate. epochs: of this `fit`; the steps of an epoch come from Keras.
    """

    def __init__(self, rate: Callable[[float], float], *, epochs: int):
        super().__init__()
        self.rate, self.epochs, self.step = rate, epochs, 0

    def on_train_batch_begin(self, batch, logs=None):
        steps = (self.params.get("steps") or 1) * self.epochs
        self.model.optimizer.learning_rate = self.rate(min(self.step / steps, 1.0))
        self.step += 1


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the epoch with the highest `monitor`, across several `fit` calls; ties: the first.

    After training, `restore()` puts them back. Attributes: `epoch` (from 0) and `value` of the best one, None before.
    """

    def __init__(self, monitor: str = "val_accuracy"):
        super().__init__()
        self.monitor = monitor
        self.value: float | None = None
        self.epoch: int | None = None
        self._weights = None

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {})[self.monitor]
        if self.value is None or value > self.value:
            self.value, self.epoch, self._weights = float(value), epoch, self.model.get_weights()

    def restore(self) -> None:
        if self._weights is not None:
            self.model.set_weights(self._weights)
