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

__all__ = ["Phase", "fit", "phased_optimizer"]


@dataclass(frozen=True)
class Phase:
    """A part of a training, in which some layers train at some learning rate.

    Attributes:
        epoch: The first epoch of the phase; 0 is the first of the training.
        above: What trains, see `kv.schedules.freeze`.
        learning_rate: The learning rate at the peak of `curve`. If None, the curve of the phase before continues and
            spans both.
        norm: What normalization does, see `kv.schedules.freeze`.
        curve: How the learning rate changes until the next phase with a learning rate of its own.
        layer_decay: The learning rate of each group of layers is that of the group above times this factor, see
            `kv.schedules.rates`.
        layers: Groups of layers: "stage" or "block".
    """

    epoch: int
    above: str | float
    learning_rate: float | None = None
    norm: str = "frozen"
    curve: Curve = field(default_factory=Cosine)
    layer_decay: float = 1.0
    layers: str = "stage"

    def __post_init__(self):
        if self.epoch < 0:
            raise checks.error("epoch", expected="an epoch number from 0", received=self.epoch)
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise checks.error("learning_rate", expected="a positive number", received=self.learning_rate)
        if not callable(getattr(self.curve, "factor", None)):
            raise checks.error("curve", expected="a curve such as kv.schedules.Cosine(warmup=0.1)", received=self.curve)
        if not 0 < self.layer_decay <= 1:
            raise checks.error("layer_decay", expected="a factor in (0, 1]", received=self.layer_decay)
        checks.one_of("layers", self.layers, GROUPS)


def _planned(phases: Sequence[Phase], epochs: int) -> Iterator[tuple[Phase, int, training.PhaseRate]]:
    """Yields each phase with the epoch at which it ends, and its learning rate: of the curve that began last."""
    ends = [*(phase.epoch for phase in phases[1:]), epochs]
    curves = [i for i, phase in enumerate(phases) if phase.learning_rate is not None]
    for i, (phase, end) in enumerate(zip(phases, ends, strict=True)):
        first = max(c for c in curves if c <= i)
        begin, until = phases[first], ends[min((c for c in curves if c > i), default=len(phases)) - 1]

        def rate(progress: float, begin: Phase = begin) -> float:
            return (begin.learning_rate or 0.0) * begin.curve.factor(progress)

        yield phase, end, training.PhaseRate(rate, first_epoch=begin.epoch, epochs=until - begin.epoch)


def fit(
    model: keras.Model,
    train,
    phases: Sequence[Phase],
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
) -> keras.callbacks.History:
    """Trains a model through phases with Keras' own `fit`.

    Each phase compiles the model anew with the same optimizer, so that moments, averages and iterations live through
    all of them. A model that was saved and loaded goes on with `optimizer=model.optimizer`.

    Args:
        model: A model of `kv.transfer.attach`. One that computes in float16 (`kv.training.mixed`) has its loss scaled
            by `keras.optimizers.LossScaleOptimizer`.
        train: As `kv.training.fit` takes it, with labels in a tuple `(x, y)` or `(x, y, sample_weight)` of arrays.
        phases: The phases in the order of their epochs. The first begins at epoch 0 and has a learning rate.
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
        Keras' `History`: its `history` has the logs of all phases by name, one value for each epoch.

    Raises:
        kvision.UserError: If phases are out of order or beyond `epochs`, the optimizer is of another kind, or
            `kv.training.fit` raises it.
    """
    starts = [phase.epoch for phase in phases]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= epochs:
        raise checks.error(
            "phases", expected=f"rising epochs, the first 0, the last below epochs={epochs}", received=starts
        )
    if phases[0].learning_rate is None:
        raise checks.error("phases", expected="a learning rate in the first of them", received=phases[0])
    resume = training.Resume(checkpoints) if isinstance(checkpoints, str | Path) else checkpoints
    with distribute.scope_of(model):
        optimizer, phased = phased_optimizer(model, training.Adam() if optimizer is None else optimizer)
        (phased if optimizer.built else optimizer).build(freeze(model, above="all", norm="train"))
        if resume is not None:
            resume.anew()
            resume.restore(model, optimizer)  # before a phase says which variables are new in it
        history: dict[str, list[float]] = {}
        for number, (phase, end, rate) in enumerate(_planned(phases, epochs)):
            if resume is not None and number < resume.position.phase:
                continue
            variables = freeze(model, above=phase.above, norm=phase.norm)
            factors = rates(model, phase.layer_decay, by=phase.layers)
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
                initial_epoch=phase.epoch,
                checkpoints=resume,
                non_finite=non_finite,
                phase=number,
                final=number == len(phases) - 1,
            ).history
            for name, values in logs.items():
                history.setdefault(name, []).extend(values)
    found = keras.callbacks.History()
    found.history = history if resume is None else resume.history
    found.epoch = list(range(max(map(len, found.history.values()), default=0)))
    found.set_model(model)
    return found


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
