"""`fit`, `evaluate` and `predict` for any Keras model: replicas, exact resume, a check for non-finite losses."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from kvision import checks
from kvision.distribute.model import extended, scope_of
from kvision.distribute.strategy import local_replica_count, replica_count
from kvision.training import guard, match, raw_images, unsafe_gradients
from kvision.training.averages import averaged
from kvision.training.callbacks import Callbacks, verbosity
from kvision.training.feed import Feed, feed
from kvision.training.given import divided, given
from kvision.training.objective import Objective
from kvision.training.pace import Pace
from kvision.training.resume import Resume, Run, number, resuming
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
    checkpoints: str | Path | Resume | Run | None = None,
    non_finite: str = "stop",
) -> keras.callbacks.History:
    """Trains a compiled model with Keras' own `fit`.

    A model that was created under a strategy's scope trains on all replicas, and ends with the same weights as on one
    device. Each batch is divided among the replicas. If a batch cannot be divided evenly, every replica gets the whole
    batch with weight 1 / replicas. Normalization sees the global batch.

    If the optimizer has `use_ema=True`, the steps train the weights, but validation and callbacks see the averages of
    the weights at the end of an epoch. After the training the model contains the averages.

    Args:
        model: Any compiled `keras.Model`.
        train: The training data: arrays `x`, a tuple `(x, y)` or `(x, y, sample_weight)` of arrays, `kv.data.Images`,
            `kv.data.batches(...)`, or a `tf.data.Dataset` of global batches. On one replica it can also be a
            `keras.utils.PyDataset`, a generator or a PyTorch `DataLoader`. A `tf.data.Dataset` keeps its own order. If
            there are several machines, each machine reads the whole dataset, so shuffle it with a seed.
        y: Labels for arrays, as a separate argument.
        epochs: Number of the epoch at which the training ends, as in Keras. For example, `initial_epoch=2` and
            `epochs=5` train three epochs.
        sample_weight: Weight of each row of the arrays in the loss. Defaults to 1.
        class_weight: Weight of each class in the loss by class number, such as `{0: 1.0, 1: 5.0}`. Classes that are not
            listed have the weight 1. The class weight is multiplied by `sample_weight`.
        validation_data: Data for validation after each epoch, like `train`. It is not permuted.
        validation_split: Share of the rows of the arrays, in [0, 1). If there is no `validation_data`, the last rows
            are used for validation.
        steps_per_epoch: Number of batches per epoch. If None, an epoch is all of the data. If given, the next epoch
            continues where the last epoch stopped, and starts again from the beginning of the data at its end. An
            endless dataset needs this argument.
        batch_size: Number of rows per batch of arrays, for all replicas together. Data that is not arrays keeps its own
            batches.
        seed: Seed of the permutation of arrays and `kv.data.Images` in each epoch. If None, the rows keep their order.
        callbacks: Keras callbacks.
        verbose: 0 is silent, 1 shows a bar, 2 prints one line per epoch. `"auto"` shows a bar on a terminal, else it
            prints one line per epoch.
        initial_epoch: Number of the first epoch, as in Keras.
        checkpoints: Folder of the checkpoints, or a `Resume` with more settings. Run the same call again to continue
            from the last checkpoint. In a deterministic process, the result is bit-identical to an uninterrupted
            training if the order of the data follows from a seed. The second call may change the learning rate and the
            settings of callbacks. SIGTERM writes a checkpoint after the current step and ends the process with exit
            code 75.
        non_finite: What to do if the loss or a gradient is not finite. `"stop"` raises before anything is written.
            `"skip"` leaves the step out and reports it. `"skip"` needs TensorFlow. With float16, loss scaling skips
            such steps silently.

    Returns:
        Keras' `History`, which includes the epochs of earlier, interrupted runs.

    Raises:
        UserError: If the model is not compiled, if the data has no batch or does not fit the model, if replicas cannot
            run with these settings, or if the checkpoints are of a different model or of different batches.
        NonFinite: If the loss or a gradient is not finite. The message contains the step, the learning rate and the
            layers.

    Example:
        >>> x, y = np.eye(4, dtype="float32"), np.arange(4)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="softmax")])
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> history = kv.training.fit(model, x, y, epochs=2, batch_size=2, verbose=0)
        >>> len(history.history["loss"])
        2
    """
    checks.one_of("non_finite", non_finite, guard.POLICIES)
    match.require_compiled(model)
    train = given(train, y, sample_weight)
    if validation_split and validation_data is None:
        train, validation_data = divided(train, validation_split)
    with scope_of(model), contextlib.ExitStack() as stack:
        batches = _fed(
            model,
            train,
            "train",
            batch_size=batch_size,
            seed=seed,
            drops_tail=_crosses(model),
            class_weight=class_weight,
            steps_per_epoch=steps_per_epoch,
        )
        if isinstance(model, Objective) and batches.rows:
            model.check_batch(batches.rows)
        _build(model, batches)
        unsafe_gradients.warn(model)
        run = stack.enter_context(resuming(checkpoints, model))
        stopped = run.begin(initial_epoch, batches, callbacks)
        watcher = stack.enter_context(guard.watching(model, non_finite, batches, run.folder))
        stack.enter_context(extended(model))
        validation = None if validation_data is None else _judged(model, validation_data, batch_size, "validation_data")
        before, after = stack.enter_context(averaged(model, final=run.final))
        pace = Pace(batches.rows, local_replica_count())
        every = Callbacks(
            [watcher, pace, *before, *callbacks, *after, run],
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=batches.steps,
        )
        with _original_errors("train", batches, validation):
            _run(model, batches, every, run.position, pace, run.position.epoch if stopped else epochs, validation)
        every.history.history = {name: list(values) for name, values in run.history.items()}
        return every.history


def _run(
    model: keras.Model,
    batches: Feed,
    every: Callbacks,
    position: Position,
    pace: Pace,
    epochs: int,
    validation: Feed | None,
) -> None:
    """Trains from `position` to the end: the rest of an interrupted epoch, then the remaining epochs in one `fit`."""
    judged = None if validation is None else validation.start(Position())

    def part(end: int, *, last: bool) -> None:
        every.offset, every.last = position.step, last
        model.fit(
            batches.start(position, pace.taken),
            initial_epoch=position.epoch,
            epochs=end,
            validation_data=judged,
            callbacks=every,
            shuffle=False,
            **batches.options(position),
        )

    stopped = False
    if position.step:
        if position.step == batches.steps:
            _close_epoch(model, every, position.epoch, judged)
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
    """Runs the end-of-epoch work that Keras would have run."""
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
    """Computes loss and metrics with Keras' own `evaluate`, on all replicas of the model's strategy.

    Args:
        model: A compiled model.
        data: Data like `train` of `fit`. It is not permuted.
        y: Labels for arrays, as a separate argument.
        sample_weight: Weight of each row of the arrays. Defaults to 1.
        batch_size: Number of rows per batch, for arrays.
        verbose: Same values as in `fit`.

    Returns:
        The loss and the metrics by name.

    Raises:
        UserError: If the model is not compiled, or the data does not fit it.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse")
        >>> kv.training.evaluate(model, np.ones((3, 2)), 2 * np.ones(3), verbose=0)
        {'loss': 4.0}
    """
    match.require_compiled(model)
    with scope_of(model):
        batches = _judged(model, given(data, y, sample_weight, argument="data"), batch_size, "data")
        _build(model, batches)
        with extended(model), _original_errors("data", batches):
            return model.evaluate(batches.start(Position()), verbose=verbosity(verbose), return_dict=True)


def predict(model: keras.Model, data, *, batch_size: int = 32, verbose: str | int = "auto"):
    """Computes predictions with Keras' own `predict`, on all replicas of the model's strategy.

    Args:
        model: Any model.
        data: Images as an array, or data like `train` of `fit`. Labels are ignored.
        batch_size: Number of rows per batch, for arrays.
        verbose: Same values as in `fit`.

    Returns:
        The outputs of all rows in their order, as an array or as the structure of arrays that the model returns. Every
        machine gets all rows.

    Raises:
        UserError: If the images do not fit the model.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> kv.training.predict(model, np.ones((5, 4)), verbose=0).shape
        (5, 2)
    """
    with scope_of(model):
        batches = _fed(model, given(data, argument="data"), "data", labeled=False, batch_size=batch_size, seed=None)
        with extended(model), _original_errors("data", batches):
            found = model.predict(batches.start(Position()), verbose=verbosity(verbose))
        if replica_count() == 1:
            return found
        outputs, keep = found
        return keras.tree.map_structure(lambda output: np.asarray(output)[np.asarray(keep) > 0], outputs)


@contextlib.contextmanager
def _original_errors(argument: str, *feeds: Feed | None) -> Iterator[None]:
    """Raises the original errors of the data, which TensorFlow wraps, and explains errors about wrong labels."""
    try:
        yield
    except Exception as failure:
        for each in feeds:
            if each is not None and each.failure is not None:
                raise each.failure from None
        if (wrong := match.wrong_label(failure, argument=argument)) is not None:
            raise wrong from None
        raise


def _crosses(model: keras.Model) -> bool:
    """Returns whether the loss compares the examples of a batch with each other."""
    return getattr(model, "drops_tail", False)


def _judged(model: keras.Model, data, batch_size: int, argument: str) -> Feed:
    """Returns the data of an evaluation.

    If the loss compares examples, replicas leave out a smaller last batch, because each replica would see all of it.
    """
    drops_tail = _crosses(model) and replica_count() > 1
    data = given(data, argument=argument)
    return _fed(model, data, argument, batch_size=batch_size, seed=None, drops_tail=drops_tail)


def _fed(model: keras.Model, data, argument: str, *, labeled: bool = True, **options) -> Feed:
    """Returns batches of the data. Shapes, labels and pixels are checked if they are known."""
    batches = feed(data, argument=argument, **options)
    match.check_inputs(model, data, batches.spec, argument=argument)
    if labeled and isinstance(data, tuple) and len(data) > 1:
        match.check_labels(model, data[1], argument=argument)
    elif labeled and hasattr(data, "as_source"):  # kv.data.Images
        match.check_labels(model, data.labels, argument=argument)
    raw_images.look(model, batches, argument)
    return batches


def _build(model: keras.Model, batches: Feed) -> None:
    """Builds all variables before the first step. Restoring needs them, and a replica cannot create them."""
    if batches.spec is not None:
        model._symbolic_build(data_batch=batches.spec)  # not public
    elif not model.built:
        raise checks.UserError(
            "model",
            problem="has no weights yet, and this data does not tell the shape of its batches",
            expected="a model that begins with keras.Input, or was called on a batch",
            received=model.name,
        )
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
