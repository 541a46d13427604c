"""Runs the phases of a training in order with one optimizer."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras

from kvision import checks, training
from kvision.distribute.model import scope_of
from kvision.schedules.curves import Cosine, Curve
from kvision.schedules.freeze import freeze
from kvision.schedules.groups import GROUPS, learning_rate_factors
from kvision.training.optimizers import Phased
from kvision.training.resume import resuming

__all__ = ["Phase", "fit", "phased_optimizer"]


@dataclass(frozen=True)
class Phase:
    """A part of a training, in which selected layers train with one learning-rate curve.

    Attributes:
        epoch: The first epoch of the phase. 0 is the first epoch of the training.
        above: The lowest part that trains, such as `"top"`, `"stage4"` or `"all"`, see `kv.schedules.freeze`.
        learning_rate: The learning rate at the peak of `curve`. If None, the curve of the previous phase continues and
            spans both phases.
        norm: Behavior of the normalization: `"frozen"`, `"stats"` or `"train"`, see `kv.schedules.freeze`.
        curve: The curve of the learning rate until the next phase that sets a learning rate.
        layer_decay: Factor in (0, 1] from the learning rate of a group of layers to the learning rate of the group
            below, see `kv.schedules.learning_rate_factors`. 1 gives all layers the same learning rate.
        layers: The groups that `layer_decay` uses: `"stage"` or `"block"`.

    Raises:
        UserError: If a value is out of range.

    Example:
        >>> head_first = kv.schedules.Phase(epoch=0, above="top", learning_rate=1e-3)
        >>> then_all = kv.schedules.Phase(epoch=2, above="all", learning_rate=1e-4, layer_decay=0.5)
        >>> then_all.norm
        'frozen'
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
            raise checks.UserError("epoch", expected="a number from 0", received=self.epoch)
        checks.positive({"learning_rate": self.learning_rate})
        if not callable(getattr(self.curve, "factor", None)):
            raise checks.UserError(
                "curve", expected="a curve such as kv.schedules.Cosine(warmup=0.1)", received=self.curve
            )
        if not 0 < self.layer_decay <= 1:
            raise checks.UserError("layer_decay", expected="a factor in (0, 1]", received=self.layer_decay)
        checks.one_of("layers", self.layers, GROUPS)


def _planned(phases: Sequence[Phase], epochs: int) -> Iterator[tuple[Phase, int, training.PhaseRate]]:
    """Yields each phase with the epoch at which it ends and the callback that sets its learning rate."""
    ends = [*(phase.epoch for phase in phases[1:]), epochs]
    starts = [phase.epoch for phase in phases if phase.learning_rate is not None]
    begin = phases[0]
    for phase, end in zip(phases, ends, strict=True):
        begin = begin if phase.learning_rate is None else phase
        until = next((epoch for epoch in starts if epoch > phase.epoch), epochs)

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

    Each phase compiles the model again with the same optimizer. The optimizer's moments, averages and iterations
    therefore continue through all phases. To continue the training of a saved and loaded model, pass
    `optimizer=model.optimizer`.

    Args:
        model: A model of `kv.transfer.attach`. If it computes in float16 (`kv.training.mixed`), its loss is scaled by
            `keras.optimizers.LossScaleOptimizer`.
        train: A tuple `(x, y)` or `(x, y, sample_weight)` of arrays, or any other data of `kv.training.fit`.
        phases: The phases in the order of their epochs. The first one begins at epoch 0 and has a learning rate.
        epochs: Number of epochs of all phases together.
        validation_data: Data for the measures after each epoch, in the same forms as `train`.
        validation_split: Share of the rows of the arrays for validation, taken from the end. Used if there is no
            `validation_data`.
        class_weight: Weight of each class in the loss, such as `{0: 1.0, 1: 5.0}`. A class without a weight gets 1.
        steps_per_epoch: Number of batches in an epoch. If None, an epoch is all data. Required for an endless dataset.
        optimizer: `kv.training.Adam`, `AdamW`, `SGD`, `Lamb` or `Lars`, created under the strategy scope of the model.
            This function builds the optimizer once, on all variables. Defaults to Adam.
        loss: A loss in the form that Keras' `compile` takes.
        metrics: Metrics in the form that Keras' `compile` takes.
        batch_size: Number of images in a batch of arrays, on all replicas together. Any other data already comes in
            batches.
        seed: Seed of the order of the images in each epoch, for arrays and `kv.data.Images`.
        callbacks: Keras callbacks.
        verbose: Verbosity in the form that Keras' `fit` takes.
        checkpoints: A folder, or a `kv.training.Resume`. After an interruption the same call continues the training
            from there. If None, nothing is written.
        non_finite: Action if the loss or a gradient is not finite: `"stop"` or `"skip"`, see `kv.training.fit`.

    Returns:
        Keras' `History`. Its `history` is a dictionary from log name to values of all phases, one value per epoch.

    Raises:
        UserError: If the phases are out of order or begin after `epochs`, the optimizer is not one of `kv.training`, or
            `kv.training.fit` raises it.

    Example:
        >>> backbone = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
        >>> model = kv.transfer.attach(backbone, 2)
        >>> images, labels = np.full((8, 8, 8, 3), 128), np.arange(8) % 2
        >>> phases = [kv.schedules.Phase(epoch=0, above="top", learning_rate=1e-2)]
        >>> history = kv.schedules.fit(model, (images, labels), phases, epochs=1, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']
    """
    starts = [phase.epoch for phase in phases]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= epochs:
        raise checks.UserError("phases", expected=f"rising epochs from 0 to less than epochs={epochs}", received=starts)
    if phases[0].learning_rate is None:
        raise checks.UserError("phases", expected="a learning rate in the first phase", received=phases[0])
    with scope_of(model), contextlib.ExitStack() as stack:
        optimizer, phased = phased_optimizer(model, training.Adam() if optimizer is None else optimizer)
        (phased if optimizer.built else optimizer).build(freeze(model, above="all", norm="train"))
        # The state is restored before a phase selects the variables that are new in it.
        run = stack.enter_context(resuming(checkpoints, model, optimizer))
        begun = run.position.phase
        for number, (phase, end, rate) in enumerate(_planned(phases, epochs)):
            if number < begun:
                continue
            variables = freeze(model, above=phase.above, norm=phase.norm)
            factors = learning_rate_factors(model, phase.layer_decay, layers=phase.layers)
            phased.activate(variables, [factors[id(variable)] for variable in variables])
            model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics), auto_scale_loss=False)
            run.phase, run.final = number, number == len(phases) - 1
            training.fit(
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
                checkpoints=run,
                non_finite=non_finite,
            )
    found = keras.callbacks.History()
    found.history = run.history
    found.epoch = list(range(max(map(len, found.history.values()), default=0)))
    found.set_model(model)
    return found


def phased_optimizer(model: keras.Model, optimizer) -> tuple[keras.optimizers.Optimizer, Phased]:
    """Returns the optimizer for `compile`, and the optimizer that is used in all phases.

    Args:
        model: The model.
        optimizer: An optimizer of `kv.training`, or a `keras.optimizers.LossScaleOptimizer` around one.

    Returns:
        Both optimizers. They are the same object unless the model computes in float16. Then the first one wraps the
        second one and scales the loss.

    Raises:
        UserError: If the optimizer is not one of `kv.training`.
    """
    phased = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(phased, Phased):
        raise checks.UserError(
            "optimizer",
            problem="cannot train in phases",
            expected="kv.training.Adam(...), AdamW(...), SGD(...), Lamb(...) or Lars(...)",
            received=type(phased).__name__,
        )
    if phased is optimizer and any(layer.compute_dtype == "float16" for layer in model._flatten_layers()):
        return keras.optimizers.LossScaleOptimizer(optimizer), phased
    return optimizer, phased
