"""Phases of a training, run one after another with one optimizer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from kvision import checks, distribute, training
from kvision.schedules.freeze import freeze
from kvision.training.optimizers import Phased

__all__ = ["Unfreeze", "fit"]


@dataclass(frozen=True)
class Unfreeze:
    """From `epoch` (0 is the first) on, `above` and everything after it trains, see `kv.schedules.freeze`.

    rate: the learning rate at the phase's first step; decay: "cosine" lets it fall to 0 at the phase's end
    (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5, one cycle), "constant" keeps it.
    """

    epoch: int
    above: str
    rate: float
    norm: str = "frozen"
    decay: str = "cosine"

    def __post_init__(self):
        if self.epoch < 0:
            raise checks.error("epoch", expected="an epoch number from 0", received=self.epoch)
        if not 0 < self.rate < math.inf:
            raise checks.error("rate", expected="a positive learning rate", received=self.rate)
        checks.one_of("decay", self.decay, ("cosine", "constant"))

    def rate_at(self, progress: float) -> float:
        """The learning rate at `progress` in [0, 1] of the phase."""
        return self.rate * (1 + math.cos(math.pi * progress)) / 2 if self.decay == "cosine" else self.rate


def fit(
    model: keras.Model,
    train,
    steps: Sequence[Unfreeze],
    *,
    epochs: int,
    validation_data=None,
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
    """Trains `model` (of `kv.transfer.attach`) through `steps` with Keras' own `fit`; -> logs by name, one an epoch.

    train, validation_data, batch_size, seed, checkpoints, non_finite: as `kv.training.fit` takes them; replicas and
    machines as there, with `optimizer` made under the model's scope. steps: in the order of their epochs, the first at
    0. epochs: in all. optimizer: `kv.training.Adam` or `SGD`, built here once on every variable, so that moments and
    iterations live through the phases; None takes Adam. Each phase is compiled with it anew.
    Raises UserError for steps out of order or beyond `epochs`, and for another optimizer.
    """
    starts = [step.epoch for step in steps]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= epochs:
        raise checks.error(
            "steps", expected=f"rising epochs, the first 0, the last below epochs={epochs}", received=starts
        )
    resume = training.Resume(checkpoints) if isinstance(checkpoints, str | Path) else checkpoints
    with distribute.scope_of(model):
        optimizer = training.Adam() if optimizer is None else optimizer
        if not isinstance(optimizer, Phased):
            raise checks.error(
                "optimizer",
                problem="cannot live through phases",
                expected="kv.training.Adam(...) or kv.training.SGD(...)",
                received=type(optimizer).__name__,
            )
        if not optimizer.built:
            optimizer.build(freeze(model, above="all", norm="train"))
        if resume is not None:
            resume.restore(model, optimizer)  # before a phase says which variables are new in it
        history: dict[str, list[float]] = {}
        for phase, (step, end) in enumerate(zip(steps, [*starts[1:], epochs], strict=True)):
            if resume is not None and phase < resume.position.phase:
                continue
            optimizer.activate(freeze(model, above=step.above, norm=step.norm))
            model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
            rate = training.PhaseRate(step.rate_at, first_epoch=step.epoch, epochs=end - step.epoch)
            logs = training.fit(
                model,
                train,
                epochs=end,
                validation_data=validation_data,
                batch_size=batch_size,
                seed=seed,
                callbacks=[rate, *callbacks],
                verbose=verbose,
                initial_epoch=step.epoch,
                checkpoints=resume,
                non_finite=non_finite,
                phase=phase,
            ).history
            for name, values in logs.items():
                history.setdefault(name, []).extend(values)
    return history if resume is None else resume.history
