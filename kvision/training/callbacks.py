"""Keras callbacks for trainings that run as several `fit` calls, or continue in the middle of an epoch."""

import math
import re
import sys
import time
from collections.abc import Callable, Sequence

import keras

from kvision import checks, progress

__all__ = ["Callbacks", "Clock", "KeepBest", "PhaseRate", "PhaseValue", "verbosity"]


class PhaseValue(keras.callbacks.Callback):
    """Sets a number before every step, from the progress within a phase.

    Args:
        value: A function of the progress, in [0, 1), that returns the number.
        assign: A function of (model, number) that sets the number, such as a weight of a layer. Example: `lambda model,
            number: model.twin.momentum.assign(number)`.
        epochs: Number of epochs of the phase. After these epochs the number stays at `value(1.0)`.
        first_epoch: First epoch of the phase, from 0.

    Raises:
        UserError: At the beginning of a training, if the number of steps per epoch is unknown.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> number = keras.Variable(1.0)
        >>> falling = kv.training.PhaseValue(lambda progress: 1 - progress, lambda _, x: number.assign(x), epochs=2)
        >>> x = np.ones((4, 1))
        >>> _ = kv.training.fit(model, x, x, epochs=2, batch_size=4, callbacks=[falling], verbose=0)
        >>> float(number.value)  # set before the second of two steps
        0.5
    """

    def __init__(
        self,
        value: Callable[[float], float],
        assign: Callable[[keras.Model, float], None],
        *,
        epochs: int,
        first_epoch: int = 0,
    ):
        super().__init__()
        self._value, self._assign, self._epochs, self._first_epoch = value, assign, epochs, first_epoch
        self._done = 0

    def on_train_begin(self, logs=None):
        if self.params.get("steps") is None:
            raise checks.UserError(
                "epochs",
                problem=f"of {type(self).__name__} have an unknown number of steps",
                expected="arrays, kv.data.batches(...), a PyDataset or a tf.data.Dataset of known cardinality",
                received=None,
                hint="Set steps_per_epoch",
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._done = epoch - self._first_epoch

    def on_train_batch_begin(self, batch, logs=None):
        steps = self.params["steps"]
        progress = (self._done * steps + batch) / (steps * self._epochs)
        self._assign(self.model, self._value(min(progress, 1.0)))


class PhaseRate(PhaseValue):
    """Sets the learning rate before every step, from the progress within a phase.

    Args:
        rate: A function of the progress, in [0, 1), that returns the learning rate.
        epochs: Number of epochs of the phase. After these epochs the learning rate stays at `rate(1.0)`.
        first_epoch: First epoch of the phase, from 0.

    Raises:
        UserError: At the beginning of a training, if the number of steps per epoch is unknown.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> curve = kv.schedules.Cosine()
        >>> falling = kv.training.PhaseRate(lambda progress: 0.1 * curve.factor(progress), epochs=2)
        >>> x = np.ones((4, 1))
        >>> _ = kv.training.fit(model, x, x, epochs=2, batch_size=4, callbacks=[falling], verbose=0)
        >>> round(float(model.optimizer.learning_rate), 3)  # of the second of two steps
        0.05
    """

    def __init__(self, rate: Callable[[float], float], *, epochs: int, first_epoch: int = 0):
        super().__init__(rate, _set_rate, epochs=epochs, first_epoch=first_epoch)


def _set_rate(model: keras.Model, rate: float) -> None:
    model.optimizer.learning_rate = rate


class Clock(keras.callbacks.Callback):
    """Measures the seconds of the steps of all epochs, including validation.

    Checkpoints keep the seconds, also within an epoch. So an interrupted and resumed training counts as one training.

    Attributes:
        seconds: Number of seconds so far.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> clock = kv.training.Clock()
        >>> x = np.ones((4, 1))
        >>> _ = kv.training.fit(model, x, x, epochs=1, callbacks=[clock], verbose=0)
        >>> clock.seconds > 0
        True
    """

    def __init__(self):
        super().__init__()
        self.seconds = 0.0
        self._counted = 0.0

    def get_state(self) -> dict:
        """Returns the seconds so far."""
        return {"seconds": self.seconds}

    def set_state(self, state: dict) -> None:
        """Continues to count from the seconds in `state`."""
        self.seconds = state["seconds"]

    def on_epoch_begin(self, epoch, logs=None):
        self._counted = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self._count()

    def on_epoch_end(self, epoch, logs=None):
        self._count()

    def _count(self) -> None:
        now = time.monotonic()
        self.seconds, self._counted = self.seconds + now - self._counted, now


# Names of logs that fall, and names of logs that rise, as a model learns. `_FALLS` is tried first: "accuracy_loss" is a
# loss.
_FALLS = re.compile(r"loss|error|entropy|divergence|hinge|perplexity|(^|_)r?m[as]l?e($|_)")
_RISES = re.compile(
    r"acc|auc|iou|dice|precision|recall|specificity|score|psnr|ssim|(^|_)(f1|f_beta|r2|knn|probe|map)($|_)"
)


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the best epoch, across several `fit` calls.

    Call `restore()` after the training to put these weights back into the model. If two epochs have the same value, the
    first epoch is the best. An epoch with the value NaN is never the best.

    Attributes:
        epoch: The best epoch, from 0. None before the end of the first epoch.
        value: The value of the log in the best epoch. None before the end of the first epoch.
        weights: The weights of the model at the end of the best epoch. None before the end of the first epoch.

    Args:
        monitor: Name of a log.
        mode: `"max"` if a high value is good, `"min"` if a low value is good. `"auto"` uses the direction of Keras'
            metric of that name. If the metric has no direction, `"auto"` decides by the name: losses and errors fall;
            accuracies, scores and overlaps rise.

    Raises:
        UserError: At the end of the first epoch, if the log does not exist, or if `"auto"` cannot find its direction.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> best = kv.training.KeepBest("loss")
        >>> x = np.ones((4, 1))
        >>> _ = kv.training.fit(model, x, x, epochs=3, callbacks=[best], verbose=0)
        >>> best.restore()
        >>> best.epoch
        2
    """

    def __init__(self, monitor: str = "val_accuracy", mode: str = "auto"):
        super().__init__()
        self.monitor = monitor
        self.mode = checks.one_of("mode", mode, ("auto", "min", "max"))
        self.value: float | None = None
        self.epoch: int | None = None
        self.weights: list | None = None

    def get_state(self) -> dict:
        """Returns the best epoch so far."""
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def set_state(self, state: dict) -> None:
        """Sets the best epoch so far."""
        self.value, self.epoch, self.weights = state["value"], state["epoch"], state["weights"]

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            raise checks.UserError(
                "monitor",
                problem="names no log of this training",
                expected=f"one of {', '.join(logs or {})}",
                received=self.monitor,
                hint="Names with val_ need validation_data" if self.monitor.startswith("val_") else "",
            )
        value = float((logs or {})[self.monitor])
        better = self.value is None or (value > self.value if self._rises() else value < self.value)
        if better and not math.isnan(value):
            self.value, self.epoch, self.weights = value, epoch, self.model.get_weights()

    def _rises(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        metrics = [inner for metric in self.model.metrics for inner in getattr(metric, "metrics", [metric])]
        told = [getattr(metric, "_direction", None) for metric in metrics if metric.name == name]  # not public
        if told and told[0] is not None:
            return told[0] == "up"
        if _FALLS.search(name) or _RISES.search(name):
            return not _FALLS.search(name)
        raise checks.UserError(
            "mode",
            problem="does not follow from the name of the log",
            expected="'max' if a high value is good, 'min' if a low one is",
            received=f"'auto' for {self.monitor!r}",
        )

    def restore(self) -> None:
        """Puts the weights of the best epoch into the model, if there is a best epoch."""
        if self.weights is not None:
            self.model.set_weights(self.weights)


def verbosity(verbose: str | int) -> str | int:
    """Returns Keras' `verbose`: `"auto"` is a bar if the output can redraw it, else one line per epoch."""
    return 2 if verbose == "auto" and not progress.redraws(sys.stdout) else verbose


class Callbacks(keras.callbacks.CallbackList):
    """Lets callbacks see one training, even if the rest of an interrupted epoch needs a separate `fit`.

    Attributes:
        offset: Number of steps of the current epoch that were done before the current `fit`. Callbacks count from this
            number.
        last: Whether the end of the current `fit` is the end of the training.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], **options):
        options["verbose"] = verbosity(options["verbose"])
        super().__init__(callbacks, add_history=True, add_progbar=options["verbose"] != 0, **options)
        self.history = self._history or keras.callbacks.History()  # `add_history` has set `_history`
        self.offset, self.last = 0, True
        self._begun = False

    def on_train_begin(self, logs=None):
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        if self.last:
            super().on_train_end(logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.offset, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self.offset, logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.offset = 0
