"""Phases of a training, run one after another with one optimizer."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras

from kvision import checks, distribute, training
from kvision.schedules.curves import Cosine, Curve
from kvision.schedules.freeze import freeze
from kvision.schedules.groups import GROUPS, rates
from kvision.training.optimizers import Phased

__all__ = ["Unfreeze", "fit", "phased_optimizer"]


@dataclass(frozen=True)
class Unfreeze:
    """From `epoch` (0 is the first) on, `above` and everything after it trains, see `kv.schedules.freeze`.

    rate: the learning rate at the curve's peak; None goes on with the curve of the phase before, which then spans
    both. curve: how the rate moves from here to the next phase with a rate of its own. layer_decay: the rate of each
    group of layers is that of the group above it times this, see `kv.schedules.rates`; layers: "stage" or "block".
    """

    epoch: int
    above: str | float
    rate: float | None = None
    norm: str = "frozen"
    curve: Curve = field(default_factory=Cosine)
    layer_decay: float = 1.0
    layers: str = "stage"

    def __post_init__(self):
        if self.epoch < 0:
            raise checks.error("epoch", expected="an epoch number from 0", received=self.epoch)
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise checks.error("rate", expected="a positive learning rate", received=self.rate)
        if not callable(getattr(self.curve, "factor", None)):
            raise checks.error("curve", expected="a curve such as kv.schedules.Cosine(warmup=0.1)", received=self.curve)
        if not 0 < self.layer_decay <= 1:
            raise checks.error("layer_decay", expected="a factor in (0, 1]", received=self.layer_decay)
        checks.one_of("layers", self.layers, GROUPS)


def _planned(steps: Sequence[Unfreeze], epochs: int) -> Iterator[tuple[Unfreeze, int, training.PhaseRate]]:
    """Each step with the epoch at which it ends, and its rate: of the curve that began last."""
    ends = [*(step.epoch for step in steps[1:]), epochs]
    curves = [i for i, step in enumerate(steps) if step.rate is not None]
    for i, (step, end) in enumerate(zip(steps, ends, strict=True)):
        first = max(c for c in curves if c <= i)
        begin, until = steps[first], ends[min((c for c in curves if c > i), default=len(steps)) - 1]

        def rate(progress: float, begin: Unfreeze = begin) -> float:
            return (begin.rate or 0.0) * begin.curve.factor(progress)

        yield step, end, training.PhaseRate(rate, first_epoch=begin.epoch, epochs=until - begin.epoch)


def fit(
    model: keras.Model,
    train,
    steps: Sequence[Unfreeze],
    *,
    epochs: int,
    validation_data=None,
    validation_split: float = 0.0,
    class_weight: Mapping[int, float] | None = None,
    steps_per_epoch: int | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    loss: str | keras.losses.Loss = "sparse_categorical_crossentropy",
    metrics: Sequence = ("accuracy",),
    batch_size: int = 32,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    checkpoints: str | Path | training.Resume | None = None,
    non_finite: str = "stop",
) -> dict[str, list[float]]:
    """Trains a model through phases with Keras' own `fit`.

    Each phase compiles the model anew with the same optimizer, so that moments, averages and iterations live through
    all of them. A model that was saved and loaded goes on with `optimizer=model.optimizer`.

    Args:
        model: A model of `kv.transfer.attach`. One that computes in float16 (`kv.training.mixed`) has its loss scaled
            by `keras.optimizers.LossScaleOptimizer`.
        train: As `kv.training.fit` takes it, with labels in a tuple `(x, y)` or `(x, y, sample_weight)` of arrays.
        steps: The phases in the order of their epochs; the first begins at epoch 0 and has a rate.
        epochs: The number of epochs of all phases together.
        validation_data: As `kv.training.fit` takes it.
        validation_split: As `kv.training.fit` takes it.
        class_weight: As `kv.training.fit` takes it.
        steps_per_epoch: As `kv.training.fit` takes it.
        optimizer: `kv.training.Adam`, `AdamW`, `SGD`, `Lamb` or `Lars`, made under the scope of the model; None is
            Adam. It is built here, once, on every variable.
        loss: As Keras' `compile` takes it.
        metrics: As Keras' `compile` takes them.
        batch_size: As `kv.training.fit` takes it.
        seed: As `kv.training.fit` takes it.
        callbacks: Keras callbacks.
        verbose: As Keras takes it.
        checkpoints: As `kv.training.fit` takes them.
        non_finite: As `kv.training.fit` takes it.

    Returns:
        The logs by name, one value an epoch.

    Raises:
        kvision.UserError: If phases are out of order or beyond `epochs`, the optimizer is of another kind, or
            `kv.training.fit` raises it.
    """
    starts = [step.epoch for step in steps]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= epochs:
        raise checks.error(
            "steps", expected=f"rising epochs, the first 0, the last below epochs={epochs}", received=starts
        )
    if steps[0].rate is None:
        raise checks.error("steps", expected="a rate in the first of them", received=steps[0])
    resume = training.Resume(checkpoints) if isinstance(checkpoints, str | Path) else checkpoints
    with distribute.scope_of(model):
        optimizer, phased = phased_optimizer(model, training.Adam() if optimizer is None else optimizer)
        (phased if optimizer.built else optimizer).build(freeze(model, above="all", norm="train"))
        if resume is not None:
            resume.anew()
            resume.restore(model, optimizer)  # before a phase says which variables are new in it
        history: dict[str, list[float]] = {}
        for phase, (step, end, rate) in enumerate(_planned(steps, epochs)):
            if resume is not None and phase < resume.position.phase:
                continue
            variables = freeze(model, above=step.above, norm=step.norm)
            factors = rates(model, step.layer_decay, by=step.layers)
            phased.activate(variables, [factors[id(variable)] for variable in variables])
            model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics), auto_scale_loss=False)
            logs = training.fit(
                model,
                train,
                epochs=end,
                validation_data=validation_data,
                validation_split=validation_split,
                class_weight=class_weight,
                steps_per_epoch=steps_per_epoch,
                batch_size=batch_size,
                seed=seed,
                callbacks=[rate, *callbacks],
                verbose=verbose,
                initial_epoch=step.epoch,
                checkpoints=resume,
                non_finite=non_finite,
                phase=phase,
                final=phase == len(steps) - 1,
            ).history
            for name, values in logs.items():
                history.setdefault(name, []).extend(values)
    return history if resume is None else resume.history


def phased_optimizer(model: keras.Model, optimizer) -> tuple[keras.optimizers.Optimizer, Phased]:
    """-> what the model is compiled with, and what lives through the phases: the same, or inside of it."""
    phased = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(phased, Phased):
        raise checks.error(
            "optimizer",
            problem="cannot live through phases",
            expected="kv.training.Adam(...), AdamW(...), SGD(...), Lamb(...) or Lars(...)",
            received=type(phased).__name__,
        )
    if phased is optimizer and any(layer.compute_dtype == "float16" for layer in model._flatten_layers()):
        return keras.optimizers.LossScaleOptimizer(optimizer), phased
    return optimizer, phased
