"""Losses and gradients that are not finite: noticed in the step, before they reach weights or files."""

import contextlib
import math
import sys
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from kvision import checks, distribute
from kvision.distribute.conditional import if_finite
from kvision.distribute.model import overriding
from kvision.training.feed import Feed

__all__ = ["POLICIES", "NonFinite", "first_broken_layers", "watching"]

POLICIES = ("stop", "skip")
_NAMED = 3


class NonFinite(checks.UserError):
    """A training that was stopped since its loss or gradients were not finite."""


def _guarded(optimizer, state: "_State") -> dict[str, Callable]:
    """Methods by which an update with a gradient or a loss that is not finite is not made, but counted."""
    apply_plainly, scale_plainly = optimizer.apply, optimizer.scale_loss
    step = threading.local()  # each replica has a thread

    def scale_loss(loss):
        step.loss = loss
        return scale_plainly(loss)

    def apply(grads, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        loss = vars(step).pop("loss", None)

        def then(values):
            apply_plainly(values[:-1], variables)

        def otherwise(flags):
            state.count.assign_add(1)
            state.flags.assign(flags)

        if_finite([*grads, loss], then, otherwise)

    return {"apply": apply, "scale_loss": scale_loss}


def _skipping(model) -> dict[str, Callable]:
    """A step by which an update that is not made leaves statistics, seeds and metrics as they were too."""
    train, optimizer = model.train_step, getattr(model.optimizer, "inner_optimizer", model.optimizer)

    def train_step(data):
        kept = [*model.non_trainable_variables, *model.metrics_variables]
        before, seen = [ops.copy(v.value) for v in kept], ops.copy(optimizer.iterations.value)
        logs = train(data)
        made = ops.not_equal(ops.copy(optimizer.iterations.value), seen)
        for variable, old in zip(kept, before, strict=True):
            variable.assign(ops.where(made, variable.value, old))
        return {**logs, **model.get_metrics_result()}

    return {"train_step": train_step}


class _State:
    def __init__(self, variables: int):
        options = {"initializer": "zeros", "dtype": "int", "trainable": False, "aggregation": "only_first_replica"}
        self.count = keras.Variable(shape=(), name="skipped", **options)
        self.flags = keras.Variable(shape=(variables + 1,), name="broken", **options)  # and the loss


class Watcher(keras.callbacks.Callback):
    """Acts on what the guard counted, at the end of the step."""

    def __init__(self, policy: str, state: _State | None, batches: Feed, kept: str):
        super().__init__()
        self._policy, self._state, self._batches, self._kept = policy, state, batches, kept
        self._epoch = self._skipped = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        count = int(distribute.read(self._state.count)) if self._state is not None else 0
        broken, self._skipped = count - self._skipped, count
        if self._policy == "skip":
            if broken:
                tqdm.write(f"{self._where(batch)}: not finite, left out ({count} so far)", file=sys.stderr)
            return
        if broken or not math.isfinite(loss):
            raise _Stop(batch, loss)

    def _where(self, batch: int) -> str:
        rate = float(distribute.read(self.model.optimizer.learning_rate))
        return f"Epoch {self._epoch + 1}, step {batch + 1} (learning rate {rate:.3g})"

    def error(self, stop: "_Stop") -> NonFinite:
        """What to tell; called when the model is as Keras made it again."""
        names = self._layers(stop.batch)
        blame = f"first not finite: {', '.join(names)}" if names else "every layer was finite on its own"
        left_out = self._state is not None or isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)
        as_before = "The weights are as before this step, statistics and other state may not be"
        kept = as_before if left_out else "The weights have taken this step"
        return NonFinite(
            f"{self._where(stop.batch)}: the loss is {stop.loss:g} or a gradient is not finite; {blame}. "
            f"{kept}{self._kept}. Lower the rate, clip gradients (clipnorm), look for values out of range in the data, "
            'or leave such steps out with non_finite="skip".'
        )

    def _layers(self, step: int) -> list[str]:
        batch = self._batches.batch_of(self._epoch, step)
        if batch is not None:
            inputs, *targets = batch if isinstance(batch, tuple) else (batch,)
            if names := first_broken_layers(self.model, inputs):
                return names
            if not _finite(targets):
                return ["the targets or weights of the samples themselves"]
        if self._state is None:
            return []
        # a gradient that is not finite spreads from the loss towards the input
        flags, variables = distribute.read(self._state.flags)[:-1], self.model.trainable_variables
        paths = [variable.path for variable, flag in zip(variables, flags, strict=True) if flag]
        return [f"the gradient of {path}" for path in reversed(paths)][:_NAMED]


class _Stop(BaseException):  # not an error: it leaves Keras' loop
    def __init__(self, batch: int, loss: float):
        super().__init__(batch)
        self.batch, self.loss = batch, loss


@contextlib.contextmanager
def watching(model: keras.Model, policy: str, batches: Feed, kept: str) -> Iterator[Watcher]:
    """While open, steps of `model` are guarded; gives the callback that watches. kept: where the last good state is.

    On the backends jax and torch, and with float16's loss scaling (which leaves steps out by itself, in
    silence), only the loss is looked at. Raises NonFinite in place of the stop that the callback asks for.
    """
    optimizer, state = model.optimizer, None
    tensorflow = keras.backend.backend() == "tensorflow"
    if policy == "skip" and not tensorflow:
        raise checks.error(
            "non_finite", problem="leaves steps out on TensorFlow alone", expected="'stop'", received="skip"
        )
    if tensorflow and optimizer is not None and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        state = _State(len(model.trainable_variables))
    watcher = Watcher(policy, state, batches, kept)
    with contextlib.ExitStack() as stack:
        if state is not None:
            stack.enter_context(overriding(optimizer, **_guarded(optimizer, state)))
        if policy == "skip" and optimizer is not None:
            stack.enter_context(overriding(model, **_skipping(model)))
        if state is not None or policy == "skip":
            # what was traced knows nothing of this guard, and what will be is of no use after it
            stack.callback(setattr, model, "train_function", model.train_function)
            model.train_function = None
        try:
            yield watcher
            return
        except _Stop as stop:
            found = stop
    raise watcher.error(found) from None


def first_broken_layers(model: keras.Model, inputs) -> list[str]:
    """The first layers, in the order of the data, whose output is not finite for `inputs` (inference mode), in words.

    "the input itself" alone if the inputs are not finite; empty if all outputs are.
    """
    if not _finite(inputs):
        return ["the input itself"]
    found: list[str] = []
    leaves = [layer for layer in model._flatten_layers() if not list(layer._flatten_layers(include_self=False))]

    def watched(layer):
        plain = layer.call

        def call(*args, **kwargs):
            outputs, name = plain(*args, **kwargs), f"the output of {layer.name}"
            if name not in found and not _finite(outputs):
                found.append(name)
            return outputs

        return call

    with contextlib.ExitStack() as stack:
        for layer in leaves:
            stack.enter_context(overriding(layer, call=watched(layer)))
        model(inputs, training=False)
    return found[:_NAMED]


def _finite(values) -> bool:
    leaves = [ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(values) if leaf is not None]
    # kind V: bfloat16, which is not NumPy's
    return all(np.isfinite(leaf).all() for leaf in leaves if leaf.dtype.kind in "fV")
