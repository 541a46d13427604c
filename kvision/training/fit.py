"""The door to Keras' own `fit`, `evaluate` and `predict`: on replicas and machines, resumed, guarded."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kvision import checks, distribute
from kvision.training import guard, preemption, raw_images, unsafe_gradients
from kvision.training.averages import averaged
from kvision.training.callbacks import Callbacks
from kvision.training.feed import Feed, feed
from kvision.training.lines import verbosity
from kvision.training.objective import Objective
from kvision.training.pace import Pace
from kvision.training.resume import Keeper, Resume, number
from kvision.training.source import Position

__all__ = ["evaluate", "fit", "predict"]


def fit(
    model: keras.Model,
    train,
    *,
    epochs: int,
    validation_data=None,
    batch_size: int = 32,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    initial_epoch: int = 0,
    checkpoints: str | Path | Resume | None = None,
    non_finite: str = "stop",
    phase: int = 0,
    final: bool = True,
) -> keras.callbacks.History:
    """Trains a compiled model with Keras' own `fit`; -> its History, of earlier, interrupted runs too.

    model: any `keras.Model`. Made under a strategy's scope it trains on all replicas: a batch is shared out, one that
    does not divide is given whole to each with weight 1 / replicas, and normalization sees the global batch, so that
    the numbers are those of one device. train: `kv.data.pipeline(...)`; arrays (x, y) or (x, y, sample_weight), in
    global batches of `batch_size`, permuted by `seed` and epoch; a `tf.data.Dataset` of global batches, which brings
    its own order (of several machines each reads it whole: `.shuffle(n, seed=...)`); on one replica also what else
    Keras takes. validation_data: the same, unshuffled. initial_epoch, epochs: as Keras counts. checkpoints: a folder,
    or a `Resume` that says more; the same call again goes on from what it holds, and ends bit-identical in a
    deterministic process where the order follows from a seed; a rate or settings of callbacks that are new are taken.
    SIGTERM then ends the process within a step, after a checkpoint, with exit code 75. non_finite: when a gradient or
    the loss is not finite, "stop" raises before anything is written, "skip" leaves the step out and tells it
    (TensorFlow; with float16 its loss scaling decides, in silence). phase, final: which phase of a schedule this is,
    and whether it is the last.
    An optimizer with `use_ema=True` trains the weights and has its averages judged: in validation, by callbacks at an
    epoch's end, and in the model after `final`.
    Raises UserError for data without a batch, batches that do not suit the method, settings that replicas cannot
    run, and checkpoints of another model or of other batches; NonFinite, a UserError, names step, rate and layers.
    """
    checks.one_of("non_finite", non_finite, guard.POLICIES)
    with distribute.scope_of(model), contextlib.ExitStack() as stack:
        batches = feed(train, batch_size=batch_size, seed=seed, drops_tail=_crosses(model))
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
            resume.meet(callbacks)
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


def evaluate(model: keras.Model, data, *, batch_size: int = 32, verbose: str | int = "auto") -> dict[str, float]:
    """Keras' own `evaluate`, on all replicas of the model's strategy -> logs by name. data: as `fit` takes it."""
    with distribute.scope_of(model):
        batches = _held_out(model, data, batch_size, "data")
        _build(model, batches)
        with distribute.extended(model), _said(batches):
            return model.evaluate(batches.start(Position()), verbose=verbosity(verbose), return_dict=True)


def predict(model: keras.Model, data, *, batch_size: int = 32, verbose: str | int = "auto"):
    """Keras' own `predict`, on all replicas of the model's strategy -> outputs of all rows, in their order.

    data: images as an array, or as `fit` takes them (labels are passed over). Every machine gets all rows.
    """
    with distribute.scope_of(model):
        batches = feed(data, batch_size=batch_size, seed=None)
        raw_images.look(model, batches, "data")
        with distribute.extended(model), _said(batches):
            found = model.predict(batches.start(Position()), verbose=verbosity(verbose))
        if distribute.replica_count() == 1:
            return found
        outputs, keep = found
        return keras.tree.map_structure(lambda output: np.asarray(output)[np.asarray(keep) > 0], outputs)


@contextlib.contextmanager
def _said(*feeds: Feed | None) -> Iterator[None]:
    """Raises what reading raised, which TensorFlow only quotes."""
    try:
        yield
    except Exception:
        for each in feeds:
            if each is not None and each.failure is not None:
                raise each.failure from None
        raise


def _crosses(model: keras.Model) -> bool:
    return getattr(model, "drops_tail", False)


def _held_out(model: keras.Model, data, batch_size: int, argument: str) -> Feed:
    """What is judged: all of it, unless replicas would all have a tail, and a loss across examples see it twice."""
    drops_tail = _crosses(model) and distribute.replica_count() > 1
    batches = feed(data, batch_size=batch_size, seed=None, drops_tail=drops_tail)
    raw_images.look(model, batches, argument)
    return batches


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
