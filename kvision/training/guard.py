"""Finds losses and gradients that are not finite within the step, before they reach weights or files."""

import contextlib
import math
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from kvision import checks
from kvision.distribute.conditional import if_finite
from kvision.distribute.model import overriding
from kvision.distribute.values import read
from kvision.training.feed import Feed

__all__ = ["POLICIES", "NonFinite", "first_broken_layers", "watching"]

POLICIES = ("stop", "skip")
_NAMED = 3


class NonFinite(checks.UserError):
    """Raised if the loss or a gradient is not finite. The message contains the step, the learning rate and the layers.

    It is a `UserError`, because the user can fix it with a lower learning rate, clipped gradients or different data.
    """


def _guarded(optimizer, state: "_State") -> dict[str, Callable]:
    """Returns methods that count an update with a non-finite loss or gradient, and do not apply this update."""
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
    """Returns a step that also restores statistics, seeds and metrics if its update was not applied."""
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
    """Stops or reports at the end of a step if the guard counted a non-finite update."""

    def __init__(self, policy: str, state: _State | None, batches: Feed, folder: Path | None):
        super().__init__()
        self._policy, self._state, self._batches, self._folder = policy, state, batches, folder
        self._epoch = self._skipped = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        count = int(read(self._state.count)) if self._state is not None else 0
        broken, self._skipped = count - self._skipped, count
        if self._policy == "skip":
            if broken:
                tqdm.write(f"{self._where(batch)}: not finite, left out ({count} so far)", file=sys.stderr)
            return
        if broken or not math.isfinite(loss):
            raise _Stop(batch, loss)

    def _where(self, batch: int) -> str:
        rate = float(read(self.model.optimizer.learning_rate))
        return f"Epoch {self._epoch + 1}, step {batch + 1} (learning rate {rate:.3g})"

    def error(self, stop: "_Stop") -> NonFinite:
        """Returns the error for a stop. This method runs the model, so the model must have Keras' own methods again."""
        names = self._layers(stop.batch)
        blame = f"first not finite: {', '.join(names)}" if names else "every layer was finite on its own"
        left_out = self._state is not None or isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)
        as_before = "The weights are as before this step, statistics and other state may not be"
        place = "" if self._folder is None else f"; the last good checkpoint, if there is one, is in {self._folder}"
        kept = as_before if left_out else "The weights have taken this step"
        return NonFinite(
            f"{self._where(stop.batch)}: the loss is {stop.loss:g} or a gradient is not finite; {blame}. "
            f"{kept}{place}. Lower the learning rate, clip gradients (clipnorm), look for values out of range in the "
            'data, or leave such steps out with non_finite="skip".'
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
        # A non-finite gradient spreads from the loss towards the input, so the search starts at the last layers.
        flags, variables = read(self._state.flags)[:-1], self.model.trainable_variables
        paths = [variable.path for variable, flag in zip(variables, flags, strict=True) if flag]
        return [f"the gradient of {path}" for path in reversed(paths)][:_NAMED]


class _Stop(BaseException):  # ends Keras' loop; not an Exception, so that a user's code does not catch it
    def __init__(self, batch: int, loss: float):
        super().__init__(batch)
        self.batch, self.loss = batch, loss


@contextlib.contextmanager
def watching(model: keras.Model, non_finite: str, batches: Feed, folder: Path | None) -> Iterator[Watcher]:
    """Guards the steps of a model inside a `with` block.

    On JAX and PyTorch only the loss is checked. The same is true for float16, because its loss scaling already skips
    such steps.

    Args:
        model: A compiled, built model.
        non_finite: `"stop"` or `"skip"`, as in `fit`.
        batches: The training data. The batch that caused the error is read again from this data.
        folder: Folder of the checkpoints for the message. None if there are none.

    Yields:
        The callback that must be passed to `fit`.

    Raises:
        UserError: If `non_finite` is `"skip"` without TensorFlow.
        NonFinite: If the callback stops the training.
    """
    optimizer, state = model.optimizer, None
    tensorflow = keras.backend.backend() == "tensorflow"
    if non_finite == "skip" and not tensorflow:
        raise checks.UserError(
            "non_finite", problem="can skip steps only on TensorFlow", expected="'stop'", received="skip"
        )
    if tensorflow and optimizer is not None and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        state = _State(len(model.trainable_variables))
    watcher = Watcher(non_finite, state, batches, folder)
    with contextlib.ExitStack() as stack:
        if state is not None:
            stack.enter_context(overriding(optimizer, **_guarded(optimizer, state)))
        if non_finite == "skip" and optimizer is not None:
            stack.enter_context(overriding(model, **_skipping(model)))
        if state is not None or non_finite == "skip":
            # A step that was traced before is not guarded. A step that is traced now must not be used later.
            stack.callback(setattr, model, "train_function", model.train_function)
            model.train_function = None
        try:
            yield watcher
            return
        except _Stop as stop:
            found = stop
    raise watcher.error(found) from None


def first_broken_layers(model: keras.Model, inputs) -> list[str]:
    """Finds the first layers, in the order of the data, with an output that is not finite.

    Args:
        model: Any model. It runs in inference mode.
        inputs: A batch of inputs for the model.

    Returns:
        Up to three phrases such as "the output of conv1". If the inputs are not finite, the list is only "the input
        itself". If all outputs are finite, the list is empty.
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
    # Kind V is bfloat16, which NumPy does not have.
    return all(np.isfinite(leaf).all() for leaf in leaves if leaf.dtype.kind in "fV")
