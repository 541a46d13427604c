"""Exact resuming: a training that was killed continues as if it had not been interrupted."""

import contextlib
import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import keras
import numpy as np
from tqdm import tqdm

from kvision import checks
from kvision.distribute.strategy import is_chief
from kvision.distribute.values import agree, anyone, barrier, read, write
from kvision.training import callback_state
from kvision.training.checkpoint import Checkpoints
from kvision.training.feed import Feed
from kvision.training.preemption import Preempted, watch
from kvision.training.source import Position

__all__ = ["Resume", "Run", "number", "resuming"]

_LONGEST_PAUSE = 600.0  # seconds between two checkpoints, for any `share`
# The learning rates that trainings of this process left in their optimizers. The user did not set them.
_LEFT: "WeakKeyDictionary[keras.optimizers.Optimizer, float | None]" = WeakKeyDictionary()


class Resume:
    """Sets where the checkpoints of a training are kept, and how often they are written.

    A checkpoint holds all variables of the model and the optimizer, the states of seed generators, the sums of
    metrics, the position in the data, the logs, and the state of callbacks. The state of Keras' `EarlyStopping`,
    `ReduceLROnPlateau` and `ModelCheckpoint` is kept. The state of a user's callback is kept if the callback has the
    methods `get_state()` and `set_state(state)`. `get_state()` returns a dictionary of numbers, strings, None and lists
    of arrays.

    Args:
        folder: Folder of the checkpoints. Each training needs its own folder.
        keep: Number of checkpoints that stay in the folder, at least 1. With 2, only one checkpoint is lost if a file
            is damaged.
        every: Number of steps between two checkpoints. If None, checkpoints are written only at the ends of epochs.
        share: Largest share of the time that writing may take, between 0 and 1. If None, a checkpoint is written at the
            end of each epoch. If given, no checkpoint is written at the end of an epoch that comes too soon after the
            last checkpoint, for at most 10 minutes. The first and the last epoch always write a checkpoint. `share`
            cannot be combined with `every`.

    Raises:
        UserError: If `keep` or `every` is below 1, `share` is not between 0 and 1, or both `every` and `share` are
            given.

    Example:
        >>> x, y = np.ones((8, 2)), np.ones(8)
        >>> for epochs in (1, 2):  # the second call continues after the first epoch
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     place = kv.training.Resume("checkpoints", every=10)
        ...     history = kv.training.fit(model, x, y, epochs=epochs, checkpoints=place, verbose=0)
        >>> len(history.history["loss"])
        2
    """

    def __init__(self, folder: str | Path, *, keep: int = 2, every: int | None = None, share: float | None = None):
        if every is not None and every < 1:
            raise checks.UserError("every", expected="a count of steps of at least 1, or None", received=every)
        if share is not None and not 0 < share < 1:
            raise checks.UserError("share", expected="a number between 0 and 1, or None", received=share)
        if share is not None and every is not None:
            raise checks.UserError("share", expected="None beside `every`, which says when to write", received=share)
        self.folder, self.every, self.share = Path(folder), every, share
        self.checkpoints = Checkpoints(folder, keep=keep)


@contextlib.contextmanager
def resuming(checkpoints: "str | Path | Resume | Run | None", model: keras.Model, optimizer=None) -> Iterator["Run"]:
    """Restores the last checkpoint of a training, and writes new checkpoints inside the `with` block.

    If SIGTERM comes inside the block, the training writes a checkpoint after the current step and raises `Preempted`.

    Args:
        checkpoints: A folder, or a `Resume`. If None, nothing is restored or written. A `Run` is yielded unchanged,
            because the phases of a schedule share one `Run`.
        model: A built model. Its variables are restored.
        optimizer: A built optimizer. Its variables are restored. Defaults to the optimizer of `model`.

    Yields:
        The `Run`. Call `begin` of the `Run` before each `fit`, and pass the `Run` to `fit` as the last callback.

    Raises:
        UserError: If the checkpoint belongs to a different model or optimizer.
    """
    if isinstance(checkpoints, Run):
        yield checkpoints
    elif checkpoints is None:
        yield Run()
    else:
        barrier()  # The chief may still be writing the last checkpoint of an earlier call in this process.
        optimizer = model.optimizer if optimizer is None else optimizer
        with watch() as sigterm:
            run = Run(checkpoints if isinstance(checkpoints, Resume) else Resume(checkpoints), sigterm)
            run.restore(model, optimizer)
            try:
                yield run
            finally:
                _LEFT[_inner(optimizer)] = _rate(optimizer)


class Run(keras.callbacks.Callback):
    """The last callback of a training of one or several phases. It writes the checkpoints.

    Attributes:
        position: The current position of the training. The data pipeline reads from this position.
        history: The logs so far by name, one value per epoch.
        phase: The number of the current phase of a schedule. The schedule sets it.
        final: Whether the current phase is the last. The schedule sets it.
        resume: The settings of the checkpoints. None if no checkpoints are written.
    """

    def __init__(self, checkpoints: Resume | None = None, sigterm: threading.Event | None = None):
        super().__init__()
        self.resume, self._sigterm = checkpoints, sigterm
        found = None if checkpoints is None else checkpoints.checkpoints.latest()
        self._found, self._arrays, self._record = found or (None, {}, {})
        self.position = self._found or Position()
        self.history: dict[str, list] = self._record.get("history", {})
        self.phase, self.final = 0, True
        self._rate: float | None = None
        self._written, self._took = -_LONGEST_PAUSE, math.inf

    def restore(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        """Restores the variables of model and optimizer, except for a learning rate that the user has changed."""
        # This call creates Keras' global generator. All machines must create it together.
        known = _variables(model, optimizer)
        where, self._rate = self.position, _rate(optimizer)
        agree("checkpoints", (where.phase * 1_000_000 + where.epoch) * 100_000_000 + where.step)
        if self._found is None:
            return
        self._put("variable", known)
        earlier, wished = self._record.get("rate"), self._rate
        changed = None not in (earlier, wished) and wished not in (
            earlier,
            _rate(optimizer),
            _LEFT.get(_inner(optimizer)),
        )
        if changed:
            optimizer.learning_rate = wished
        elif earlier is not None:
            self._rate = earlier
        if is_chief() and self.resume is not None:
            place = f"epoch {where.epoch + 1}" + (f", step {where.step}" if where.step else "")
            rate = f", with a learning rate of {wished:g} in place of {earlier:g}" if changed else ""
            file = self.resume.checkpoints.path(where).name
            tqdm.write(f"The training continues at {place}, from {file}{rate}", file=sys.stderr)

    def begin(self, first_epoch: int, batches: Feed, callbacks: Sequence[keras.callbacks.Callback]) -> bool:
        """Sets the position to the beginning of the phase, or to the checkpoint of the phase.

        Args:
            first_epoch: The epoch at which the phase begins.
            batches: The training data.
            callbacks: The callbacks. Checkpoints keep their state.

        Returns:
            Whether a callback had already stopped the training before its last epoch.

        Raises:
            UserError: If the data cannot be read from the middle of an epoch, if the checkpoint has a different seed,
                or if it was written within an epoch of different batches. In these cases some images would be seen
                twice, and some images not at all.
        """
        if self.resume is not None and not batches.enters:
            raise checks.UserError(
                "checkpoints",
                problem="need data that can be entered in the middle of an epoch",
                expected="arrays, kv.data.batches(...) or a tf.data.Dataset as `train`",
                received=type(batches.data).__name__,
            )
        counts = {"seed": batches.seed, "rows": batches.rows, "steps": batches.steps}
        # JSON cannot hold NumPy's integers.
        self._batches = {name: None if value is None else int(value) for name, value in counts.items()}
        self._callbacks = callbacks
        self._continues = self._found is not None and self._found.phase == self.phase
        if not self._continues:
            self.position = Position(self.phase, first_epoch)
            return False
        self.position = replace(self._found)
        kept = self._record.get("batches", self._batches)
        checked = list(kept) if self.position.step else ["seed"]
        if any(self._batches[name] != kept[name] for name in checked):
            raise checks.UserError(
                "checkpoints",
                problem="were written by a training on other batches",
                expected=", ".join(f"{name} {kept[name]}" for name in checked),
                received=", ".join(f"{name} {self._batches[name]}" for name in checked) + f" for {self.folder}",
                hint="Call as before, give this training a folder of its own, or clear that one",
            )
        return self._record["stopped"]

    @property
    def folder(self) -> Path | None:
        """The folder of the checkpoints."""
        return None if self.resume is None else self.resume.folder

    def on_train_begin(self, logs=None):
        # This runs after the `on_train_begin` of the remaining callbacks, which resets some of them.
        if self._continues:
            callback_state.put(self._callbacks, self._record.get("callbacks", []), self._arrays)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.position.epoch:
            self.position.epoch, self.position.step = epoch, 0
        elif self.position.step:  # the sums of metrics of the interrupted epoch so far
            self._put("metric", self.model.metrics_variables)

    def on_train_batch_end(self, batch, logs=None):
        if self.resume is None:
            return
        done = batch + 1
        if self._asked():
            raise Preempted(self.write(self.position.epoch, done))
        if self.resume.every and done % self.resume.every == 0 and done != self._batches["steps"]:
            self.write(self.position.epoch, done)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(number(value))
        if self.resume is None:
            return
        last = self.model.stop_training or epoch + 1 == self.params.get("epochs")
        path = self.write(epoch + 1, 0) if last or self._due() else None
        if self._asked():
            raise Preempted(path or self.write(epoch + 1, 0))

    def _asked(self) -> bool:
        """Returns whether any machine got SIGTERM. All check after each step, to end after the same step."""
        return self._sigterm is not None and anyone(self._sigterm.is_set())

    def _due(self) -> bool:
        """Returns whether to write a checkpoint if an epoch ends now."""
        if self.resume.share is None:
            return True
        pause = min(self._took * (1 / self.resume.share - 1), _LONGEST_PAUSE)
        return time.monotonic() - self._written >= pause

    def write(self, epoch: int, step: int) -> Path:
        """Writes a checkpoint of the whole training. Only the chief writes it.

        Args:
            epoch: The epoch at which the training would continue.
            step: The step within that epoch.

        Returns:
            The path of the checkpoint.

        Raises:
            UserError: If a weight is not finite. Nothing is written then.
        """
        started, position = time.monotonic(), Position(self.phase, epoch, step)
        sums = self.model.metrics_variables if step else []
        # The metrics are sums over all machines, so all machines must run this line.
        metrics = [_array(read(v)) for v in sums]
        if not is_chief():
            return self.resume.checkpoints.path(position)
        variables = _variables(self.model, self.model.optimizer)
        arrays = {f"variable-{i:05}": _array(read(v)) for i, v in enumerate(variables)}
        for variable, array in zip(variables, arrays.values(), strict=True):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise checks.UserError(
                    "checkpoints",
                    problem="were not written: a weight is not finite",
                    expected="finite weights",
                    received=variable.path,
                    hint="Lower the learning rate; the last good checkpoint stays",
                )
        arrays |= {f"metric-{i:05}": array for i, array in enumerate(metrics)}
        states, of_callbacks = callback_state.get(self._callbacks)
        arrays |= {name: _array(value) for name, value in of_callbacks.items()}
        record = {"history": self.history, "stopped": bool(self.model.stop_training)}
        record |= {"callbacks": states, "rate": self._rate, "batches": self._batches}
        path = self.resume.checkpoints.write(position, arrays, record)
        self._written = time.monotonic()
        # A disk that was slow only once does not count as a slow disk.
        self._took = min(self._took, self._written - started)
        return path

    def _put(self, kind: str, variables: list) -> None:
        """Assigns the arrays of the checkpoint to variables, and drops the arrays."""
        names = sorted(name for name in self._arrays if name.startswith(f"{kind}-"))
        saved = [self._arrays.pop(name) for name in names]
        shapes = [tuple(variable.shape) for variable in variables]
        if [array.shape for array in saved] != shapes:
            raise checks.UserError(
                "checkpoints",
                problem="hold the state of another training",
                expected=f"{len(shapes)} arrays of the shapes of this model and optimizer",
                received=f"{len(saved)} arrays in {self.folder}",
                hint="Give this training a folder of its own, or clear that one",
            )
        for variable, array in zip(variables, saved, strict=True):
            write(variable, array)


def _variables(model, optimizer) -> list:
    known = [*model.variables, *optimizer.variables]
    return [*known, _global_seed().state] if keras.backend.backend() == "tensorflow" else known


def _inner(optimizer) -> keras.optimizers.Optimizer:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _rate(optimizer) -> float | None:
    """Returns the current learning rate, or None for a schedule."""
    rate = getattr(_inner(optimizer), "_learning_rate", None)
    return float(read(rate)) if isinstance(rate, keras.Variable) else None


def _array(value) -> np.ndarray:
    """Returns bfloat16, which NumPy does not have, as float32. This is exact, and `assign` converts it back."""
    array = np.asarray(value)
    return array.astype("float32") if array.dtype.kind == "V" else array


def _global_seed():
    """Returns Keras' generator for random numbers that have no generator of their own."""
    from keras.src.random.seed_generator import global_seed_generator  # not public

    return global_seed_generator()


def number(log) -> float | list:
    """Returns a log in a type that JSON can hold. A metric may be several numbers."""
    return log if isinstance(log, float) else keras.ops.convert_to_numpy(log).tolist()
