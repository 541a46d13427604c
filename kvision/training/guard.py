"""Losses and gradients that are not finite: noticed in the step, before they reach weights or files."""

import contextlib
import math
import sys
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from kvision import checks, distribute
from kvision.distribute.conditional import if_finite
from kvision.training.feed import Feed

__all__ = ["POLICIES", "NonFinite", "first_broken_layers", "watching"]

POLICIES = ("stop", "skip")
_NAMED = 3


class NonFinite(checks.UserError):
    """A training that was stopped since its loss or gradients were not finite."""


class _Guarded:
    """Goes before an optimizer's class: an update with a gradient that is not finite is not made, but counted."""

    def apply(self, grads, trainable_variables=None):
        state = self.__dict__["_guard"]
        variables = list(trainable_variables or self._trainable_variables)

        def then(gradients):
            super(_Guarded, self).apply(gradients, variables)

        def otherwise(flags):
            state.count.assign_add(1)
            state.flags.assign(flags)

        if_finite(list(grads), then, otherwise)


class _Skipping:
    """Goes before a model's class: a step whose update is not made leaves statistics and metrics as they were too."""

    def train_step(self, data):
        count = self.optimizer.__dict__["_guard"].count
        kept = [v for v in [*self.non_trainable_variables, *self.metrics_variables] if "float" in v.dtype]
        before, seen = [ops.copy(v.value) for v in kept], ops.copy(count.value)
        logs = super().train_step(data)
        made = ops.equal(ops.copy(count.value), seen)
        for variable, old in zip(kept, before, strict=True):
            variable.assign(ops.where(made, variable.value, old))
        return {**logs, **self.get_metrics_result()}


class _State:
    def __init__(self, variables: int):
        options = {"initializer": "zeros", "dtype": "int32", "trainable": False, "aggregation": "only_first_replica"}
        self.count = keras.Variable(shape=(), name="skipped", **options)
        self.flags = keras.Variable(shape=(variables,), name="broken", **options)


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
        if self._policy == "skip" and self._state is not None:
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
        return NonFinite(
            f"{self._where(stop.batch)}: the loss is {stop.loss:g} or a gradient is not finite; {blame}. Nothing of "
            f"this step was kept{self._kept}. Lower the rate, clip gradients (clipnorm), look for values out of range "
            'in the data, or leave such steps out with non_finite="skip".'
        )

    def _layers(self, batch: int) -> list[str]:
        inputs = self._batches.inputs_of(self._epoch, batch)
        if inputs is not None and (names := first_broken_layers(self.model, inputs)):
            return names
        if self._state is None:
            return []
        # a gradient that is not finite spreads from the loss towards the input
        flags, variables = distribute.read(self._state.flags), self.model.trainable_variables
        paths = [variable.path for variable, flag in zip(variables, flags, strict=True) if flag]
        return [f"the gradient of {path}" for path in reversed(paths)][:_NAMED]


class _Stop(Exception):  # not an error: it leaves Keras' loop
    def __init__(self, batch: int, loss: float):
        super().__init__(batch)
        self.batch, self.loss = batch, loss


@contextlib.contextmanager
def watching(model: keras.Model, policy: str, batches: Feed, kept: str) -> Iterator[Watcher]:
    """While open, steps of `model` are guarded; gives the callback that watches. kept: where the last good state is.

    On the backends jax and torch, and with float16's loss scaling (which leaves steps out by itself), only the loss is
    looked at. Raises NonFinite in place of the stop that the callback asks for.
    """
    optimizer, state = model.optimizer, None
    tensorflow = keras.backend.backend() == "tensorflow"
    if tensorflow and optimizer is not None and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        state = _State(len(model.trainable_variables))
    elif policy == "skip" and not tensorflow:
        raise checks.error(
            "non_finite", problem="leaves steps out on TensorFlow alone", expected="'stop'", received="skip"
        )
    watcher = Watcher(policy, state, batches, kept)
    with contextlib.ExitStack() as stack:
        if state is not None:
            optimizer.__dict__["_guard"] = state  # past Keras' tracking: it is not the optimizer's
            stack.callback(optimizer.__dict__.pop, "_guard")
            stack.callback(setattr, model, "train_function", model.train_function)
            model.train_function = None  # what was traced before has no guard, and what is traced now has this one
            stack.enter_context(_as(optimizer, _Guarded))
            if policy == "skip":
                stack.enter_context(_as(model, _Skipping))
        try:
            yield watcher
            return
        except _Stop as stop:
            found = stop
    raise watcher.error(found) from None


@contextlib.contextmanager
def _as(thing, mixin: type) -> Iterator[None]:
    plain = thing.__class__
    thing.__class__ = type(plain.__name__, (mixin, plain), {"__module__": plain.__module__})
    try:
        yield
    finally:
        thing.__class__ = plain


def first_broken_layers(model: keras.Model, inputs) -> list[str]:
    """The first layers, in the order of the data, whose output is not finite for `inputs` (inference mode), in words.

    "the input itself" alone if the inputs are not finite; empty if all outputs are.
    """
    if not all(
        np.isfinite(leaf).all() for leaf in map(np.asarray, keras.tree.flatten(inputs)) if leaf.dtype.kind == "f"
    ):
        return ["the input itself"]
    found: list[str] = []
    leaves = [layer for layer in model._flatten_layers() if not list(layer._flatten_layers(include_self=False))]
    calls = {layer: layer.call for layer in leaves}

    def watched(layer):
        def call(*args, **kwargs):
            outputs = calls[layer](*args, **kwargs)
            for leaf in keras.tree.flatten(outputs):
                values = ops.convert_to_numpy(leaf)
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    found.append(f"the output of {layer.name}")
                    break
            return outputs

        return call

    try:
        for layer in leaves:
            object.__setattr__(layer, "call", watched(layer))
        model(inputs, training=False)
    finally:
        for layer in leaves:
            layer.__dict__.pop("call", None)
    return found[:_NAMED]
