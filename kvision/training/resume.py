"""A killed training goes on as if it had not been killed: what is kept, when, and how it is put back."""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import keras
import numpy as np
from tqdm import tqdm

from kvision import checks, distribute
from kvision.training import callback_state
from kvision.training.checkpoint import Checkpoints
from kvision.training.preemption import Notice, Preempted
from kvision.training.source import Position

__all__ = ["Keeper", "Resume", "number"]

_LONGEST_PAUSE = 600.0  # seconds between two checkpoints, whatever their share
# the rates at which trainings of this process left their optimizers, which are nobody's wish
_LEFT: "WeakKeyDictionary[keras.optimizers.Optimizer, float | None]" = WeakKeyDictionary()


class Resume:
    """What is known of an earlier, unfinished run of the same training, and where the next checkpoints go.

    folder: of the checkpoints. keep: how many of them. every: steps between two; None writes at the ends of epochs.
    share: of the time that writing may take, such as .05: ends of epochs that come too soon after the last checkpoint
    are passed over, for ten minutes at most; the first after a start and the last are not. None writes at each.
    Kept are all variables of model and optimizer (with the states of seed generators), sums of metrics, the position,
    the logs, and the state of callbacks (`callback_state`). `history`: logs by name, one an epoch so far.
    """

    def __init__(self, folder: str | Path, *, keep: int = 2, every: int | None = None, share: float | None = None):
        if every is not None and every < 1:
            raise checks.error("every", expected="a count of steps of at least 1, or None", received=every)
        if share is not None and not 0 < share < 1:
            raise checks.error("share", expected="a number between 0 and 1, or None", received=share)
        if share is not None and every is not None:
            raise checks.error("share", expected="None where `every` says when", received=share)
        self.checkpoints, self.every, self.share = Checkpoints(folder, keep=keep), every, share
        self._written, self._took = -_LONGEST_PAUSE, math.inf
        self._batches: dict[str, int | None] = {}
        self._begun: set[int] = set()
        self._look()

    def _look(self) -> None:
        found = self.checkpoints.latest()
        self.position, self._arrays, self.record = found or (Position(), {}, {})
        self.found, self._restored = found is not None, False
        self.history: dict[str, list] = self.record.get("history", {})
        self._rate: float | None = None

    @property
    def folder(self) -> Path:
        return self.checkpoints.folder

    def goes_on(self, phase: int) -> bool:
        """Whether what was found lies in this phase."""
        return self.found and self.position.phase == phase

    def anew(self) -> None:
        """Before a training: one that had this object already may have left newer checkpoints."""
        if self._begun or self._restored:
            self._begun.clear()
            distribute.barrier()  # the chief may be writing yet
            self._look()

    def begin(self, phase: int, *, rows: int, steps: int | None, seed: int | None) -> None:
        """A phase of a training with such batches, 0 or None where nobody knows. UserError where what was found came
        of another seed, or stands within an epoch of other batches: it would pass over images, or see them twice."""
        if phase in self._begun:
            self.anew()
        self._begun.add(phase)
        batches = {"seed": seed, "rows": rows, "steps": steps}
        batches = {name: None if value is None else int(value) for name, value in batches.items()}  # NumPy's, maybe
        kept = self.record.get("batches", batches)
        checked = list(batches) if self.position.step else ["seed"]
        if self.goes_on(phase) and any(batches[name] != kept[name] for name in checked):
            raise checks.error(
                "checkpoints",
                problem="were written by a training on other batches",
                expected=", ".join(f"{name} {kept[name]}" for name in checked),
                received=", ".join(f"{name} {batches[name]}" for name in checked) + f" for {self.folder}",
                hint="Call as before, give this training a folder of its own, or clear that one",
            )
        self._batches = batches

    def restore(self, model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None) -> None:
        """Puts back what was found, if anything, once. optimizer: the model's if None; built. A rate that is not the
        one with which the earlier run began is the user's wish, and stays. UserError for another model's checkpoint."""
        if self._restored:
            return
        self._restored = True
        optimizer = model.optimizer if optimizer is None else optimizer
        known = _variables(model, optimizer)  # makes Keras' global generator, which all machines must do together
        where, self._rate = self.position, _rate(optimizer)
        distribute.agree("--out", (where.phase * 1_000_000 + where.epoch) * 100_000_000 + where.step)
        if not self.found:
            return
        self._put("variable", known)
        earlier, wished = self.record.get("rate"), self._rate
        no_wish = (earlier, _rate(optimizer), _LEFT.get(_inner(optimizer)))
        other = None not in (earlier, wished) and wished not in no_wish
        if other:
            optimizer.learning_rate = wished
        elif earlier is not None:
            self._rate = earlier
        if distribute.is_chief():
            place = f"epoch {where.epoch + 1}" + (f", step {where.step}" if where.step else "")
            rate = f", with a rate of {wished:g} in place of {earlier:g}" if other else ""
            tqdm.write(f"Goes on at {place}, from {self.checkpoints.path(where).name}{rate}", file=sys.stderr)

    def restore_metrics(self, model: keras.Model) -> None:
        """The sums so far of the epoch that was interrupted."""
        self._put("metric", model.metrics_variables)

    def leave(self, optimizer: keras.optimizers.Optimizer) -> None:
        """When a training ends, however it does."""
        _LEFT[_inner(optimizer)] = _rate(optimizer)

    def restore_callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Gives callbacks the state that they had."""
        callback_state.put(callbacks, self.record.get("callbacks", []), self._arrays)

    def _put(self, kind: str, variables: list) -> None:
        names = sorted(name for name in self._arrays if name.startswith(f"{kind}-"))
        saved = [self._arrays.pop(name) for name in names]  # not to be held beside the model through the training
        shapes = [tuple(variable.shape) for variable in variables]
        if [array.shape for array in saved] != shapes:
            raise checks.error(
                "checkpoints",
                problem="hold the state of another training",
                expected=f"{len(shapes)} arrays of the shapes of this model and optimizer",
                received=f"{len(saved)} arrays in {self.folder}",
                hint="Give this training a folder of its own, or clear that one",
            )
        for variable, array in zip(variables, saved, strict=True):
            distribute.write(variable, array)

    def due(self) -> bool:
        """Whether an epoch that ends now is worth a checkpoint."""
        if self.share is None:
            return True
        pause = min(self._took * (1 / self.share - 1), _LONGEST_PAUSE)
        return time.monotonic() - self._written >= pause

    def write(self, model, position: Position, record: dict, callbacks: Sequence) -> Path:
        """A checkpoint of everything, which the chief writes. UserError if a number is not finite."""
        started = time.monotonic()
        sums = model.metrics_variables if position.step else []
        metrics = [_array(distribute.read(v)) for v in sums]  # sums over all machines, so that all must be here
        if not distribute.is_chief():
            return self.checkpoints.path(position)
        variables = _variables(model, model.optimizer)
        arrays = {f"variable-{i:05}": _array(distribute.read(v)) for i, v in enumerate(variables)}
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                index = int(name.split("-")[1])
                raise checks.error(
                    "loss",
                    problem="has led to weights that are not finite, and nothing is written",
                    expected="finite weights",
                    received=variables[index].path,
                    hint="Lower the learning rate; the last good checkpoint stays",
                )
        arrays |= {f"metric-{i:05}": array for i, array in enumerate(metrics)}
        states, of_callbacks = callback_state.get(callbacks)
        arrays |= {name: _array(value) for name, value in of_callbacks.items()}
        record = {**record, "callbacks": states, "rate": self._rate, "batches": self._batches}
        path = self.checkpoints.write(position, arrays, record)
        self._written = time.monotonic()
        self._took = min(self._took, self._written - started)  # a disk that stalled once is no slow one
        return path


def _variables(model, optimizer) -> list:
    known = [*model.variables, *optimizer.variables]
    return [*known, _global_seed().state] if keras.backend.backend() == "tensorflow" else known


def _inner(optimizer) -> keras.optimizers.Optimizer:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _rate(optimizer) -> float | None:
    """The learning rate as it stands, None for a schedule."""
    rate = getattr(_inner(optimizer), "_learning_rate", None)
    return float(distribute.read(rate)) if isinstance(rate, keras.Variable) else None


def _array(value) -> np.ndarray:
    """bfloat16 is not NumPy's: float32 holds it exactly, and `assign` makes it again."""
    array = np.asarray(value)
    return array.astype("float32") if array.dtype.kind == "V" else array


def _global_seed():
    """Keras' generator for random numbers without one of their own."""
    from keras.src.random.seed_generator import global_seed_generator  # not public

    return global_seed_generator()


def number(log) -> float | list:
    """A log as JSON: a metric may be several numbers."""
    return log if isinstance(log, float) else keras.ops.convert_to_numpy(log).tolist()


class Keeper(keras.callbacks.Callback):
    """Keeps `position` true, and writes checkpoints: the last callback of a training.

    position: shared with the pipeline, which reads by it. steps: of an epoch, None where nobody knows. others: the
    callbacks whose state is kept. notice: of SIGTERM.
    """

    def __init__(
        self,
        resume: Resume | None,
        position: Position,
        *,
        steps: int | None,
        others: Sequence[keras.callbacks.Callback] = (),
        notice: Notice | None = None,
    ):
        super().__init__()
        self.resume, self.position, self.steps = resume, position, steps
        self.others, self.notice = others, notice

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.position.epoch:
            self.position.epoch, self.position.step = epoch, 0
        elif self.position.step and self.resume is not None:
            self.resume.restore_metrics(self.model)

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1
        if self.resume is None:
            return
        if self.notice is not None and self.notice.given():
            raise Preempted(self._write(self.position.epoch, done))
        if self.resume.every and done % self.resume.every == 0 and done != self.steps:
            self._write(self.position.epoch, done)

    def on_epoch_end(self, epoch, logs=None):
        if self.resume is None:
            return
        for name, value in (logs or {}).items():
            self.resume.history.setdefault(name, []).append(number(value))
        last = self.model.stop_training or epoch + 1 == self.params.get("epochs")
        path = self._write(epoch + 1, 0) if last or self.resume.due() else None
        if self.notice is not None and self.notice.given():
            raise Preempted(path or self._write(epoch + 1, 0))

    def _write(self, epoch: int, step: int) -> Path:
        assert self.resume is not None
        record = {"history": self.resume.history, "stopped": bool(self.model.stop_training)}
        return self.resume.write(self.model, Position(self.position.phase, epoch, step), record, self.others)
