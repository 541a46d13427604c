"""Keras callbacks for trainings that run as several `fit` calls, or go on in the middle of an epoch."""

import math
import re
import time
from collections.abc import Callable, Sequence

import keras

from kvision import checks
from kvision.training.lines import Lines, verbosity

__all__ = ["Callbacks", "Clock", "KeepBest", "PhaseRate", "PhaseValue"]


class PhaseValue(keras.callbacks.Callback):
    """Sets a number before every step from the progress within a phase.

    value: a function progress in [0, 1) -> number. assign: a function (model, number) that sets it, a weight of a
    layer, say: `lambda model, m: model.twin.momentum.assign(m)`. first_epoch, epochs: of the phase; the steps of an
    epoch come from Keras, and a training where nobody knows them raises UserError.
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
        if self.params.get("steps") is None:  # the curve would end after as many steps as there are epochs
            raise checks.error(
                "train",
                problem=f"does not say how many steps an epoch has, which {type(self).__name__} follows",
                expected="arrays, kv.data.pipeline(...), a PyDataset or a tf.data.Dataset of known cardinality",
                received=None,
                hint="Say steps_per_epoch",
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._done = epoch - self._first_epoch

    def on_train_batch_begin(self, batch, logs=None):
        steps = self.params["steps"]
        progress = (self._done * steps + batch) / (steps * self._epochs)
        self._assign(self.model, self._value(min(progress, 1.0)))


class PhaseRate(PhaseValue):
    """`PhaseValue` of the learning rate. rate: a function progress in [0, 1) -> learning rate."""

    def __init__(self, rate: Callable[[float], float], *, epochs: int, first_epoch: int = 0):
        super().__init__(rate, _set_rate, epochs=epochs, first_epoch=first_epoch)


def _set_rate(model: keras.Model, rate: float) -> None:
    model.optimizer.learning_rate = rate


class Clock(keras.callbacks.Callback):
    """`seconds`: of the steps of all epochs so far, validation included; checkpoints keep it, within an epoch too, so
    that a training that was ended and went on counts as one."""

    def __init__(self):
        super().__init__()
        self.seconds = 0.0
        self._counted = 0.0

    def get_state(self) -> dict:
        """Returns the seconds so far."""
        return {"seconds": self.seconds}

    def set_state(self, state: dict) -> None:
        """Continues to count from there."""
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


# names of logs that fall and that rise as a model learns; a loss of accuracy is a loss
_FALLS = re.compile(r"loss|error|entropy|divergence|hinge|perplexity|(^|_)r?m[as]l?e($|_)")
_RISES = re.compile(
    r"acc|auc|iou|dice|precision|recall|specificity|score|psnr|ssim|(^|_)(f1|f_beta|r2|knn|probe|map)($|_)"
)


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the best epoch, across several `fit` calls.

    After training, `restore()` puts them back. Of equal epochs the first counts, and an epoch whose value is NaN never.

    Attributes:
        epoch: The best epoch, from 0; None before.
        value: Its value; None before.
        weights: The weights of the model at its end; None before.

    Args:
        monitor: The name of a log.
        mode: `"max"` if a high value is good, `"min"` if a low one is. `"auto"` asks Keras' metric of that name, then
            goes by the name: losses and errors fall, accuracies, scores and overlaps rise.

    Raises:
        kvision.UserError: At the first epoch's end if there is no such log, or `"auto"` does not know its direction.
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
        """Takes the best epoch so far."""
        self.value, self.epoch, self.weights = state["value"], state["epoch"], state["weights"]

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            raise checks.error(
                "monitor",
                problem="names no log of this training",
                expected=f"one of {', '.join(logs or {})}",
                received=self.monitor,
                hint="Names with val_ come of validation_data" if self.monitor.startswith("val_") else "",
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
        raise checks.error(
            "mode",
            problem="does not follow from the name of the log",
            expected="'max' if a high value is good, 'min' if a low one is",
            received=f"'auto' for {self.monitor!r}",
        )

    def restore(self) -> None:
        if self.weights is not None:
            self.model.set_weights(self.weights)


class Callbacks(keras.callbacks.CallbackList):
    """One training for its callbacks, though the rest of an interrupted epoch is a `fit` of its own.

    offset: steps of the current epoch that were done before; callbacks count from there. last: whether the end of the
    `fit` is the end of the training.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], **options):
        in_lines = options["verbose"] == "auto" and verbosity("auto") == 2
        bar = options["verbose"] != 0 and not in_lines
        super().__init__([*callbacks, *([Lines()] if in_lines else [])], add_history=True, add_progbar=bar, **options)
        self.history = self._history or keras.callbacks.History()  # never the latter: it was asked for
        self.offset, self.last = 0, True
        self._begun, self._before, self._after = False, _nothing, _nothing

    def restore(self, put: Callable[[], None], *, before_beginning: bool) -> None:
        """Calls `put` when the training begins, before or after the callbacks' own `on_train_begin`."""
        self._before, self._after = (put, _nothing) if before_beginning else (_nothing, put)

    def on_train_begin(self, logs=None):
        if not self._begun:
            self._begun = True
            self._before()
            super().on_train_begin(logs)
            self._after()

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


def _nothing() -> None:
    pass
