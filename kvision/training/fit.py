"""`fit`, `evaluate` and `predict` for any Keras model: replicas, exact resume, a check for non-finite losses."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kvision import checks, distribute
from kvision.training import guard, match, preemption, raw_images, unsafe_gradients
from kvision.training.averages import averaged
from kvision.training.callbacks import Callbacks
from kvision.training.feed import Feed, feed
from kvision.training.given import divided, given
from kvision.training.lines import verbosity
from kvision.training.objective import Objective
from kvision.training.pace import Pace
from kvision.training.resume import Keeper, Resume, number
from kvision.training.source import Position

__all__ = ["evaluate", "fit", "predict"]


def fit(
    model: keras.Model,
    train,
    y=None,
    *,
    epochs: int,
    sample_weight=None,
    class_weight: Mapping[int, float] | None = None,
    validation_data=None,
    validation_split: float = 0.0,
    steps_per_epoch: int | None = None,
    batch_size: int = 32,
    seed: int | None = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    initial_epoch: int = 0,
    checkpoints: str | Path | Resume | None = None,
    non_finite: str = "stop",
    phase: int = 0,
    final: bool = True,
) -> keras.callbacks.History:
    """Trains a compiled model with Keras' own `fit`.

    A model that was made under a strategy's scope trains on all replicas, with the numbers of one device: each batch
    is shared out, one that does not divide is given whole to every replica with weight 1 / replicas, and normalization
    sees the global batch. An optimizer with `use_ema=True` trains the weights, and its averages are what validation
    and callbacks see at the end of an epoch, and what the model holds after the training.

    Args:
        model: Any compiled `keras.Model`.
        train: Arrays `x`, or a tuple `(x, y)` or `(x, y, sample_weight)` of arrays; `kv.data.Images`;
            `kv.data.pipeline(...)`; a `tf.data.Dataset` of global batches, which brings its own order (each of several
            machines reads it whole: `.shuffle(n, seed=...)`). On one replica also a `keras.utils.PyDataset`, a
            generator or a PyTorch `DataLoader`.
        y: Labels for arrays, as a separate argument.
        epochs: The epoch to end at, as Keras counts.
        sample_weight: The weight of each row of the arrays in the loss.
        class_weight: The weight of each class in the loss, such as `{0: 1.0, 1: 5.0}`; 1 for a class without one. It
            multiplies the weights of samples.
        validation_data: Like `train`, not permuted.
        validation_split: The share of the arrays, their last rows, to validate on, if there is no `validation_data`.
        steps_per_epoch: Batches of an epoch; the next epoch goes on from there, and begins the data anew where it
            ends. Needed for an endless dataset. None is all of the data.
        batch_size: Rows in a batch of arrays, of all replicas together. Other data brings its own.
        seed: Permutes arrays and `kv.data.Images` anew in each epoch; None keeps their order.
        callbacks: Keras callbacks.
        verbose: As Keras takes it.
        initial_epoch: The epoch to begin at, as Keras counts.
        checkpoints: A folder, or a `Resume` with more settings. The same call again continues from the last checkpoint
            and ends bit-identical, in a deterministic process with data whose order follows from a seed. A new
            learning rate and new settings of callbacks are taken. SIGTERM writes a checkpoint within a step and ends
            the process with exit code 75.
        non_finite: What to do when the loss or a gradient is not finite: `"stop"` raises before anything is written,
            `"skip"` leaves the step out and reports it (TensorFlow alone). With float16, loss scaling skips such steps
            in silence.
        phase: The number of this phase of a schedule.
        final: Whether this phase is the last.

    Returns:
        Keras' History, with the epochs of earlier, interrupted runs.

    Raises:
        kvision.UserError: If the model is not compiled, the data holds no batch or does not suit the model, replicas
            cannot run the settings, or the checkpoints are of another model or of other batches.
        kvision.training.NonFinite: If the loss or a gradient is not finite; names step, learning rate and layers.
    """
    checks.one_of("non_finite", non_finite, guard.POLICIES)
    match.require_compiled(model)
    train = given(train, y, sample_weight)
    if validation_split and validation_data is None:
        train, validation_data = divided(train, validation_split)
    with distribute.scope_of(model), contextlib.ExitStack() as stack:
        batches = feed(
            train,
            batch_size=batch_size,
            seed=seed,
            drops_tail=_crosses(model),
            class_weight=class_weight,
            steps_per_epoch=steps_per_epoch,
        )
        _check(model, train, batches, "train")
        raw_images.look(model, batches, "train")
        if checkpoints is not None and not batches.enters:
            raise checks.error(
                "checkpoints",
                problem="need data that can be entered in the middle of an epoch",
                expected="arrays, kv.data.pipeline(...) or a tf.data.Dataset as `train`",
                received=type(train).__name__,
            )
        if isinstance(model, Objective) and batches.rows:
            model.check_batch(batches.rows)
        _build(model, batches)
        unsafe_gradients.warn(model)
        resume = Resume(checkpoints) if isinstance(checkpoints, str | Path) else checkpoints
        if resume is not None:
            resume.begin(phase, rows=batches.rows, steps=batches.steps, seed=batches.seed)
            resume.restore(model)
            stack.callback(resume.leave, model.optimizer)
        going_on = resume is not None and resume.goes_on(phase)
        start = replace(resume.position) if resume is not None and going_on else Position(phase, initial_epoch)
        notice = None if resume is None else stack.enter_context(preemption.watch())
        kept = "" if resume is None else f"; the last good checkpoint, if there is one, is in {resume.folder}"
        watcher = stack.enter_context(guard.watching(model, non_finite, batches, kept))
        stack.enter_context(distribute.extended(model))
        validation = (
            None if validation_data is None else _held_out(model, validation_data, batch_size, "validation_data")
        )
        before, after = stack.enter_context(averaged(model, final=final))
        keeper = Keeper(resume, start, steps=batches.steps, others=callbacks, notice=notice)
        pace = Pace(batches.rows, distribute.local_replica_count())
        every = Callbacks(
            [watcher, pace, *before, *callbacks, *after, keeper],
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=batches.steps,
        )
        if resume is not None and going_on:
            # at a phase's beginning callbacks begin with what they had; else they go on with what they had
            at_beginning = start == Position(phase, initial_epoch)
            every.restore(lambda: resume.restore_callbacks(callbacks), before_beginning=at_beginning)
            if resume.record["stopped"]:
                epochs = start.epoch
        held_out = None if validation is None else validation.start(Position())
        with _said(batches, validation):
            _run(model, batches, every, keeper, pace, epochs, held_out)
        if resume is not None:
            every.history.history = {name: list(values) for name, values in resume.history.items()}
        return every.history


def _run(model: keras.Model, batches: Feed, every: Callbacks, keeper: Keeper, pace: Pace, epochs: int, validation):
    """From the keeper's position to the end: the rest of an interrupted epoch, then all others in one `fit`."""
    position = keeper.position

    def part(end: int, *, last: bool) -> None:
        every.offset, every.last = position.step, last
        model.fit(
            batches.start(position, pace.taken),
            initial_epoch=position.epoch,
            epochs=end,
            validation_data=validation,
            callbacks=every,
            shuffle=False,
            **batches.options(position),
        )

    stopped = False
    if position.step:
        if position.step == batches.steps:
            _close_epoch(model, every, position.epoch, validation)
        else:
            part(position.epoch + 1, last=False)
        stopped = model.stop_training
        position.epoch, position.step = position.epoch + 1, 0
    if position.epoch < epochs and not stopped:
        part(epochs, last=True)
    else:
        every.last = True
        every.on_train_begin()
        every.on_train_end()


def _close_epoch(model: keras.Model, every: Callbacks, epoch: int, validation) -> None:
    """What Keras does after the last step of an epoch."""
    model.stop_training = False
    every.on_train_begin()
    model.reset_metrics()
    every.on_epoch_begin(epoch)
    logs = {name: number(value) for name, value in model.get_metrics_result().items()}
    if validation is not None:
        found = model.evaluate(validation, callbacks=every, return_dict=True)
        logs |= {f"val_{name}": value for name, value in found.items()}
    every.on_epoch_end(epoch, logs)


def evaluate(
    model: keras.Model, data, y=None, *, sample_weight=None, batch_size: int = 32, verbose: str | int = "auto"
) -> dict[str, float]:
    """Runs Keras' own `evaluate` on all replicas of the model's strategy.

    Args:
        model: A compiled model.
        data: Like `train` of `fit`, in its own order.
        y: Labels for arrays, as a separate argument.
        sample_weight: The weight of each row of the arrays.
        batch_size: Rows in a batch of arrays.
        verbose: As Keras takes it.

    Returns:
        The logs by name.

    Raises:
        kvision.UserError: If the model is not compiled, or the data does not suit it.
    """
    match.require_compiled(model)
    with distribute.scope_of(model):
        batches = _held_out(model, given(data, y, sample_weight, argument="data"), batch_size, "data")
        _build(model, batches)
        with distribute.extended(model), _said(batches):
            return model.evaluate(batches.start(Position()), verbose=verbosity(verbose), return_dict=True)


def predict(model: keras.Model, data, *, batch_size: int = 32, verbose: str | int = "auto"):
    """Runs Keras' own `predict` on all replicas of the model's strategy.

    Args:
        model: Any model.
        data: Images as an array, or data like `train` of `fit`, whose labels are ignored.
        batch_size: Rows in a batch of arrays.
        verbose: As Keras takes it.

    Returns:
        The outputs of all rows, in their order, on every machine.

    Raises:
        kvision.UserError: If the images do not suit the model.
    """
    with distribute.scope_of(model):
        data = given(data, argument="data")
        batches = feed(data, batch_size=batch_size, seed=None, argument="data")
        match.check_inputs(model, data, batches.spec, argument="data")
        raw_images.look(model, batches, "data")
        with distribute.extended(model), _said(batches):
            found = model.predict(batches.start(Position()), verbose=verbosity(verbose))
        if distribute.replica_count() == 1:
            return found
        outputs, keep = found
        return keras.tree.map_structure(lambda output: np.asarray(output)[np.asarray(keep) > 0], outputs)


@contextlib.contextmanager
def _said(*feeds: Feed | None) -> Iterator[None]:
    """Raises the original error of the data, which TensorFlow wraps, and names labels that its step refuses."""
    try:
        yield
    except Exception as failure:
        for each in feeds:
            if each is not None and each.failure is not None:
                raise each.failure from None
        if (wrong := match.wrong_label(failure)) is not None:
            raise wrong from None
        raise


def _crosses(model: keras.Model) -> bool:
    return getattr(model, "drops_tail", False)


def _held_out(model: keras.Model, data, batch_size: int, argument: str) -> Feed:
    """What is judged: all of it, unless replicas would all have a tail, and a loss across examples see it twice."""
    drops_tail = _crosses(model) and distribute.replica_count() > 1
    data = given(data, argument=argument)
    batches = feed(data, batch_size=batch_size, seed=None, drops_tail=drops_tail, argument=argument)
    _check(model, data, batches, argument)
    raw_images.look(model, batches, argument)
    return batches


def _check(model: keras.Model, data, batches: Feed, argument: str) -> None:
    """Shapes and labels, where they are known before the first step."""
    match.check_inputs(model, data, batches.spec, argument=argument)
    if isinstance(data, tuple) and len(data) > 1:
        match.check_labels(model, data[1], argument=argument)
    elif hasattr(data, "as_source"):  # kv.data.Images
        match.check_labels(model, data.labels, argument=argument)


def _build(model: keras.Model, batches: Feed) -> None:
    """Everything that has state exists before the first step: to be restored, and since replicas cannot make it."""
    if batches.spec is not None:
        model._symbolic_build(data_batch=batches.spec)  # not public
    elif not model.built:
        raise checks.error(
            "model",
            problem="has no weights yet, and this data does not say what its batches are like",
            expected="one that begins with keras.Input, or was called on a batch",
            received=model.name,
        )
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
