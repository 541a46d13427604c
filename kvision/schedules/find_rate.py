"""The learning-rate range test: which rate is worth trying."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks, distribute, training
from kvision.schedules.freeze import body_of, freeze
from kvision.schedules.groups import rates as rates_of
from kvision.schedules.phases import phased_optimizer

__all__ = ["FoundRate", "find_rate"]

_SMOOTHING = 0.98  # of the loss, with bias correction, as fastai has it
_DIVERGED = 4.0  # times the best smoothed loss
_LEARNED = 0.99  # times the first: less of a fall is noise


@dataclass(frozen=True)
class FoundRate:
    """rates, losses: of each step, the losses smoothed. suggestion: a rate to train at, of the valley's middle."""

    rates: np.ndarray
    losses: np.ndarray
    suggestion: float


def find_rate(
    model: keras.Model,
    train,
    *,
    above: str | float = "all",
    norm: str = "frozen",
    layer_decay: float = 1.0,
    layers: str = "stage",
    optimizer: keras.optimizers.Optimizer | None = None,
    loss: str | keras.losses.Loss = "sparse_categorical_crossentropy",
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seed: int = 0,
    verbose: str | int = 0,
) -> FoundRate:
    """Looks for a learning rate by training while the rate grows from `lowest` to `highest` by equal factors.

    The search ends after `steps` steps, or before them where the smoothed loss is 4 times the best or not finite. Then
    weights, statistics, seeds and what trains are put back. `kv.plots.rate_curve` draws the result. Compile the model,
    or call `kv.schedules.fit`, afterwards.

    Args:
        model: As `kv.schedules.fit` takes it.
        train: As `kv.schedules.fit` takes it. It is run through as often as the steps need; an endless dataset works.
        above: As `kv.schedules.Phase` takes it.
        norm: As `kv.schedules.Phase` takes it.
        layer_decay: As `kv.schedules.Phase` takes it.
        layers: As `kv.schedules.Phase` takes it.
        optimizer: An optimizer of the kind that will train, not built yet. None is Adam.
        loss: As Keras' `compile` takes it.
        lowest: The learning rate of the first step.
        highest: The learning rate of step number `steps`.
        steps: The number of steps, at least 10.
        batch_size: As `kv.training.fit` takes it.
        seed: As `kv.training.fit` takes it.
        verbose: As Keras takes it.

    Returns:
        The rates and smoothed losses of the steps that ran, and a suggestion: fastai's "valley", the middle of the
        longest stretch in which the loss falls.

    Raises:
        kvision.UserError: If the loss never falls, or `kv.training.fit` raises it.

    References:
        Smith 2017, arXiv 1506.01186, section 3.3, with fastai's values.
    """
    if not 0 < lowest < highest < math.inf:
        raise checks.error("lowest", expected="0 < lowest < highest", received=(lowest, highest))
    if steps < 10:
        raise checks.error("steps", expected="a count of at least 10", received=steps)
    body = body_of(model)
    with distribute.scope_of(model):
        kept = [distribute.read(v).copy() for v in model.variables]
        flags = [(layer, layer.trainable) for layer in model._flatten_layers()]
        body_norm = body.norm
        compiled, phased = phased_optimizer(model, training.Adam() if optimizer is None else optimizer)
        variables = freeze(model, above=above, norm=norm)
        compiled.build(variables)
        factors = rates_of(model, layer_decay, by=layers)
        phased.activate(variables, [factors[id(v)] for v in variables])
        sweep = _Sweep(lowest, highest, steps)
        try:
            model.compile(optimizer=compiled, loss=loss, auto_scale_loss=False)
            training.fit(
                model,
                train,
                epochs=1,
                steps_per_epoch=steps,
                batch_size=batch_size,
                seed=seed,
                callbacks=[sweep],
                verbose=verbose,
                non_finite="stop",
            )
        except training.NonFinite:
            pass  # far beyond what is worth trying
        finally:
            for variable, value in zip(model.variables, kept, strict=True):
                distribute.write(variable, value)
            for layer, trainable in reversed(flags):
                layer.trainable = trainable
            body.norm = body_norm
    return _found(sweep.rates, sweep.losses)


class _Sweep(keras.callbacks.Callback):
    def __init__(self, lowest: float, highest: float, steps: int):
        super().__init__()
        self.lowest, self.growth, self.steps = lowest, (highest / lowest) ** (1 / (steps - 1)), steps
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._smooth = 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()  # Keras logs the mean since the last reset, by rows: a small batch would count less
        self.model.optimizer.learning_rate = self.lowest * self.growth ** len(self.rates)

    def on_train_batch_end(self, batch, logs=None):
        self._smooth = _SMOOTHING * self._smooth + (1 - _SMOOTHING) * (logs or {})["loss"]
        self.rates.append(self.lowest * self.growth ** len(self.rates))
        self.losses.append(self._smooth / (1 - _SMOOTHING ** len(self.rates)))
        if len(self.rates) >= self.steps or self.losses[-1] > _DIVERGED * min(self.losses):
            self.model.stop_training = True


def _found(rates: Sequence[float], losses: Sequence[float]) -> FoundRate:
    begin, end = len(rates) // 10, max(len(rates) - 5, 0)  # as fastai: smoothing has to settle; the last steps diverge
    seen = losses[begin:end]
    if not seen or min(seen) > _LEARNED * seen[0]:
        raise checks.error(
            "model",
            problem="learned nothing at any rate",
            expected="a loss that falls somewhere",
            received=f"{len(losses)} losses, the first {losses[:1]}",
            hint="Look at the labels and the images, or begin at a lower rate",
        )
    return FoundRate(np.array(rates), np.array(losses), float(rates[begin + _valley(seen)]))


def _valley(losses: Sequence[float]) -> int:
    """The middle of the stretch over which the longest falling subsequence runs, counted back from its end."""
    lengths = [1] * len(losses)
    for i in range(len(losses)):
        for j in range(i):
            if losses[j] > losses[i]:
                lengths[i] = max(lengths[i], lengths[j] + 1)
    end = int(np.argmax(lengths))
    start = max(end - lengths[end], 0)
    third = (end - start) / 3
    return start + int(third) + int(third / 2)
