"""The learning-rate range test, which finds a learning rate that is worth trying."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks, training
from kvision.distribute.model import scope_of
from kvision.distribute.values import read, write
from kvision.schedules.freeze import body_of, freeze
from kvision.schedules.groups import learning_rate_factors
from kvision.schedules.phases import Phase, phased_optimizer

__all__ = ["FoundLearningRate", "find_learning_rate"]

_SMOOTHING = 0.98  # smoothing factor of the loss, with bias correction, as in fastai
_DIVERGED = 4.0  # the search stops at this multiple of the lowest smoothed loss
_LEARNED = 0.99  # the loss has fallen if it is below this share of the first loss; a smaller fall is noise


@dataclass(frozen=True)
class FoundLearningRate:
    """The result of `find_learning_rate`, which `kv.plots.learning_rate_curve` draws.

    Attributes:
        learning_rates: `(steps,)`, the learning rate of each step.
        losses: `(steps,)`, the smoothed loss of each step.
        suggestion: A good learning rate for training.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    suggestion: float


def find_learning_rate(
    model: keras.Model,
    train,
    *,
    phase: Phase | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    loss: str | keras.losses.Loss = "sparse_categorical_crossentropy",
    learning_rates: tuple[float, float] = (1e-7, 10.0),
    steps: int = 100,
    batch_size: int = 32,
) -> FoundLearningRate:
    """Finds a learning rate: trains for some steps while the learning rate grows by the same factor at each step.

    The search ends after `steps` steps. It ends earlier if the smoothed loss exceeds 4 times the lowest smoothed loss,
    or is not finite. Afterwards the search restores the weights, the statistics, the seeds and the trainable layers. To
    train the model, compile it or call `kv.schedules.fit`.

    Args:
        model: A model of `kv.transfer.attach`.
        train: Data in the form that `kv.schedules.fit` takes. The data is read as often as the steps need, and may be
            endless.
        phase: Selects the part of the model that trains, by the phase's `above`, `norm`, `layer_decay` and `layers`.
            The epoch, learning rate and curve of the phase are not used. By default everything trains, with fixed
            normalization.
        optimizer: An optimizer of `kv.training` that is not built yet. Use the same kind as in the training later.
            Defaults to Adam.
        loss: A loss in the form that Keras' `compile` takes.
        learning_rates: The learning rates of the first step and of the last one.
        steps: The largest number of steps, at least 10.
        batch_size: Number of images in a batch, if `train` is arrays. Any other data already comes in batches.

    Returns:
        The learning rates and smoothed losses of the steps that ran, and a suggestion. The suggestion is fastai's
        "valley", the middle of the longest stretch in which the loss falls.

    Raises:
        UserError: If an argument is out of range, the loss never falls, or `kv.training.fit` raises it.

    Example:
        >>> backbone = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255)])
        >>> model = kv.transfer.attach(backbone, 2)
        >>> labels = np.arange(32) % 2
        >>> images = np.repeat(255 * labels, 192).reshape(32, 8, 8, 3)
        >>> found = kv.schedules.find_learning_rate(model, (images, labels))
        >>> 1e-7 < found.suggestion < 10
        True

    References:
        Smith 2017, arXiv 1506.01186, section 3.3, with the values of fastai.
    """
    lowest, highest = learning_rates
    if not 0 < lowest < highest < math.inf:
        raise checks.UserError("learning_rates", expected="two rising positive numbers", received=learning_rates)
    if steps < 10:
        raise checks.UserError("steps", expected="a number of at least 10", received=steps)
    phase = Phase(0, "all") if phase is None else phase
    body = body_of(model)
    with scope_of(model):
        kept = [read(variable).copy() for variable in model.variables]
        flags = [(layer, layer.trainable) for layer in model._flatten_layers()]
        body_norm = body.norm
        compiled, phased = phased_optimizer(model, training.Adam() if optimizer is None else optimizer)
        variables = freeze(model, above=phase.above, norm=phase.norm)
        compiled.build(variables)
        factors = learning_rate_factors(model, phase.layer_decay, layers=phase.layers)
        phased.activate(variables, [factors[id(variable)] for variable in variables])
        sweep = _Sweep(lowest, highest, steps)
        options = {"epochs": 1, "steps_per_epoch": steps, "batch_size": batch_size, "verbose": 0}
        try:
            model.compile(optimizer=compiled, loss=loss, auto_scale_loss=False)
            training.fit(model, train, callbacks=[sweep], non_finite="stop", **options)
        except training.NonFinite:
            pass  # The learning rate is already far too high.
        finally:
            for variable, value in zip(model.variables, kept, strict=True):
                write(variable, value)
            for layer, trainable in reversed(flags):
                layer.trainable = trainable
            body.norm = body_norm
    return _found(sweep.learning_rates, sweep.losses)


class _Sweep(keras.callbacks.Callback):
    """Raises the learning rate at each step, and collects the smoothed losses."""

    def __init__(self, lowest: float, highest: float, steps: int):
        super().__init__()
        self.lowest, self.growth, self.steps = lowest, (highest / lowest) ** (1 / (steps - 1)), steps
        self.learning_rates: list[float] = []
        self.losses: list[float] = []
        self._smooth = 0.0

    def on_train_batch_begin(self, batch, logs=None):
        # Keras logs a mean that is weighted by rows since the last reset, so the loss of a small batch would have less
        # weight.
        self.model.reset_metrics()
        self.model.optimizer.learning_rate = self.lowest * self.growth ** len(self.learning_rates)

    def on_train_batch_end(self, batch, logs=None):
        self._smooth = _SMOOTHING * self._smooth + (1 - _SMOOTHING) * (logs or {})["loss"]
        self.learning_rates.append(self.lowest * self.growth ** len(self.learning_rates))
        self.losses.append(self._smooth / (1 - _SMOOTHING ** len(self.learning_rates)))
        if len(self.learning_rates) >= self.steps or self.losses[-1] > _DIVERGED * min(self.losses):
            self.model.stop_training = True


def _found(learning_rates: Sequence[float], losses: Sequence[float]) -> FoundLearningRate:
    # As in fastai, the first steps are left out until the smoothed loss settles, and the last steps because they
    # diverge.
    begin, end = len(losses) // 10, max(len(losses) - 5, 0)
    seen = losses[begin:end]
    if not seen or min(seen) > _LEARNED * seen[0]:
        raise checks.UserError(
            "model",
            problem="learned nothing at any learning rate",
            expected="a loss that falls",
            received=f"{len(losses)} losses, the first {losses[:1]}",
            hint="Look at the labels and the images, or begin at a lower learning rate",
        )
    suggestion = float(learning_rates[begin + _valley(seen)])
    return FoundLearningRate(np.array(learning_rates), np.array(losses), suggestion)


def _valley(losses: Sequence[float]) -> int:
    """Returns the middle of the stretch that the longest falling subsequence spans, counted back from its end."""
    lengths = [1] * len(losses)
    for i in range(len(losses)):
        for j in range(i):
            if losses[j] > losses[i]:
                lengths[i] = max(lengths[i], lengths[j] + 1)
    end = int(np.argmax(lengths))
    start = max(end - lengths[end], 0)
    third = (end - start) / 3
    return start + int(third) + int(third / 2)
