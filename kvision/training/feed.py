"""Turns the data that users pass into data for Keras' `fit`, starting at any step of any epoch."""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kvision import checks
from kvision.distribute import inputs
from kvision.distribute.strategy import is_chief, replica_count
from kvision.training import class_weight as classes
from kvision.training.source import Position, Source, from_arrays

__all__ = ["Feed", "feed"]

_AHEAD = 2  # batches
# Names of the remaining classes of data that Keras accepts, such as those of PyTorch and Grain. Keras compares names,
# too.
_OF_KERAS = {"generator", "DataLoader", "MapDataset", "IterDataset"}


class Feed:
    """Batches for Keras' `fit`.

    Attributes:
        data: The data that the user passed.
        steps: Number of batches per epoch. None if unknown.
        spec: One batch as `keras.KerasTensor` objects. None if unknown.
        rows: Number of rows per batch. 0 if unknown.
        seed: Seed of the order of the rows. None if the rows keep their order, or if the data sets the order itself.
        failure: The first error from reading the data. TensorFlow wraps this error and loses its type.
        enters: Whether the data can be read from the middle of an epoch.
    """

    data: Any
    steps: int | None = None
    spec: Any = None
    rows: int = 0
    seed: int | None = None
    failure: Exception | None = None
    enters: bool = True

    def options(self, position: Position) -> dict[str, Any]:
        """Returns options that `fit` needs in addition to the data."""
        return {}

    def start(self, position: Position, taken: Callable[[int], None] | None = None) -> Any:
        """Creates the object that `fit` reads. An iteration gives the batches from `position` to the end of the epoch.

        Args:
            position: The position in the data. The training updates the position, and each iteration reads it at the
                beginning.
            taken: A function of the number of the iteration. It is called when a part of a batch leaves the pipeline;
                see `Pace`.

        Returns:
            A dataset or another iterable.
        """
        raise NotImplementedError

    def batch_of(self, epoch: int, step: int) -> Any:
        """Returns the batch of a step. None if the batch cannot be read again."""
        return None

    def watch(self, part: Callable[[Any], Any], look: Callable[..., None]) -> None:
        """Calls `look(part(batch), rows)` for every batch: an array, and the numbers of its rows if they are known."""
        raise NotImplementedError

    def _noted(self, call: Callable, *given):
        try:
            return call(*given)
        except Exception as failure:
            # Errors of later batches, which are read ahead, may follow from the first error.
            self.failure = self.failure or failure
            raise


def feed(
    data,
    *,
    batch_size: int,
    seed: int | None,
    drops_tail: bool = False,
    argument: str = "train",
    class_weight: Mapping[int, float] | None = None,
    steps_per_epoch: int | None = None,
) -> Feed:
    """Creates a `Feed` from any data that can be trained on.

    Args:
        data: Arrays (x, y) or (x, y, sample_weight), `kv.data.Images`, a `tf.data.Dataset`, a `Source`, or an object
            with a `source`. On one replica also any iterable that Keras accepts.
        batch_size: Number of rows per batch, for arrays.
        seed: Seed of the permutation of arrays and `kv.data.Images`. If None, the rows keep their order.
        drops_tail: Whether to leave out a last, smaller batch. The number of rows that are left out is printed.
        argument: Name of the data in messages.
        class_weight: Weight of each class in the loss, by class number.
        steps_per_epoch: Number of batches per epoch. If None, an epoch is all of the data.

    Returns:
        The feed.

    Raises:
        UserError: If the data cannot be trained on, or cannot be divided evenly among the replicas.
    """
    table = None if class_weight is None else classes.table_of(class_weight)
    if isinstance(data, tuple | np.ndarray | dict):
        arrays = data if isinstance(data, tuple) else (data,)
        data = from_arrays(arrays, batch_size=batch_size, seed=seed, argument=argument)
    elif hasattr(data, "as_source"):  # kv.data.Images
        data = data.as_source(seed=seed)
    source = data if isinstance(data, Source) else getattr(data, "source", None)
    if source is not None:
        source = source if steps_per_epoch is None else replace(source, steps_per_epoch=steps_per_epoch)
        source = source if table is None else classes.weighted(source, table)
        return _FromSource(_without_tail(source) if drops_tail else source)
    if hasattr(data, "element_spec") and hasattr(data, "skip"):
        data = data if table is None else classes.weighted_dataset(data, table)
        return _FromDataset(data, drops_tail, argument, steps_per_epoch)
    if replica_count() > 1:
        raise checks.UserError(
            argument,
            problem="cannot be divided among replicas",
            expected="arrays, kv.data.batches(...) or a tf.data.Dataset of global batches",
            received=type(data).__name__,
        )
    if not (isinstance(data, keras.utils.PyDataset) or _OF_KERAS & {kind.__name__ for kind in type(data).__mro__}):
        raise checks.UserError(
            argument,
            problem="cannot be trained on or predicted from",
            expected="arrays, kv.data.Images, kv.data.batches(...), a tf.data.Dataset, a "
            "keras.utils.PyDataset or a generator",
            received=type(data).__name__,
        )
    return _AsItIs(data, class_weight, steps_per_epoch)


def _without_tail(source: Source) -> Source:
    replicas = replica_count()
    if rest := source.batch_size % replicas:
        below = source.batch_size - rest
        raise checks.UserError(
            "batch_size",
            problem=f"is not divisible by the {replicas} replicas, and this loss compares examples",
            expected=" or ".join(str(size) for size in (below, below + replicas) if size),
            received=source.batch_size,
        )
    tail = source.count % source.batch_size
    if tail and not source.drop_remainder and is_chief():
        text = f"The last {tail} of {source.count} rows make no whole batch: each epoch leaves {tail} out."
        tqdm.write(text, file=sys.stderr)
    return replace(source, drop_remainder=True)


class _FromSource(Feed):
    def __init__(self, source: Source):
        self.data = self.source = source
        self.spec, self.rows, self.steps, self.seed = source.spec, source.batch_size, source.steps, source.seed

    def start(self, position: Position, taken: Callable[[int], None] | None = None):
        steps = self.source.steps - position.step
        if keras.backend.backend() != "tensorflow":
            return _Batches(self.source, position, steps)
        return inputs.stream(
            lambda: self.source.rows(position),
            lambda rows: self._noted(self.source.read, rows),
            self.spec,
            steps,
            look=self.source.look,
            read_spec=self.source.read_spec,
            taken=taken,
        )

    def batch_of(self, epoch: int, step: int):
        return self.source.batch(next(self.source.rows(Position(epoch=epoch, step=step))))

    def watch(self, part, look) -> None:
        source = self.source

        def read(rows: np.ndarray) -> Any:
            batch = source.read(rows)
            # The row numbers of a source with `fresh=True` increase from epoch to epoch.
            look(np.asarray(part(batch)), rows % source.count)
            return batch

        self.source = replace(source, read=read)


class _Batches(keras.utils.PyDataset):
    """Batches of a source on backends without `tf.data`. A thread reads the next batches while the model works."""

    def __init__(self, source: Source, position: Position, steps: int):
        super().__init__()
        self.source, self.position, self.steps = source, position, steps
        self._epoch, self._rows = -1, list[np.ndarray]()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._coming: dict[int, Future] = {}

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int):
        if self._epoch != self.position.epoch:
            self._epoch, self._rows = self.position.epoch, list(self.source.rows(self.position))
            self._coming.clear()
        for ahead in range(index, min(index + 1 + _AHEAD, self.steps)):
            if ahead not in self._coming:
                self._coming[ahead] = self._reader.submit(self.source.read, self._rows[ahead])
        return self._coming.pop(index).result()


class _FromDataset(Feed):
    def __init__(self, dataset, drops_tail: bool, argument: str, steps_per_epoch: int | None):
        self.data, replicas = dataset, replica_count()
        # The number of rows may be unknown for the views of an image, and known for an index in the same batch.
        leaves = keras.tree.flatten(dataset.element_spec)
        if not leaves or any(len(leaf.shape) == 0 for leaf in leaves):
            raise checks.UserError(
                argument,
                problem="gives single examples, not batches",
                expected="a tf.data.Dataset of batches: .batch(SIZE)",
                received=dataset.element_spec,
            )
        self.rows = max(leaf.shape[0] or 0 for leaf in leaves)
        if drops_tail and (not self.rows or self.rows % replicas):
            divisible = f", divisible by {replicas}" if replicas > 1 else ""
            raise checks.UserError(
                argument,
                problem="may hold a batch of another size, and this loss compares examples",
                expected=f"batches of one size{divisible}: .batch(SIZE, drop_remainder=True)",
                received=dataset.element_spec,
            )
        count, endless = int(dataset.cardinality()), -1
        if count == 0 or (count == endless and steps_per_epoch is None):
            raise checks.UserError(
                argument,
                problem="gives no batch" if count == 0 else "has no end",
                expected="a dataset that ends after an epoch",
                received=dataset,
                hint="" if count == 0 else "Leave out .repeat(), give it a .take(STEPS), or set steps_per_epoch",
            )
        self._endless = steps_per_epoch is not None
        if self._endless:
            checks.positive({"steps_per_epoch": steps_per_epoch})
            self.data = dataset if count == endless else dataset.repeat()
        self.steps = steps_per_epoch if self._endless else count if count >= 0 else None
        self.spec = keras.tree.map_structure(
            lambda leaf: keras.KerasTensor(leaf.shape, leaf.dtype.name), dataset.element_spec
        )

    def options(self, position: Position) -> dict[str, Any]:
        return {"steps_per_epoch": (self.steps or 0) - position.step} if self._endless else {}

    def start(self, position: Position, taken: Callable[[int], None] | None = None):
        # An endless dataset continues from epoch to epoch.
        before = position.step + (position.epoch * (self.steps or 0) if self._endless else 0)
        dataset = self.data.skip(before) if before else self.data
        return inputs.split(dataset) if replica_count() > 1 else inputs.untuned(dataset)

    def watch(self, part, look) -> None:
        self.data = inputs.watched(self.data, part, lambda images: self._noted(look, images))


class _AsItIs(Feed):
    enters = False

    def __init__(self, data, class_weight: Mapping[int, float] | None, steps_per_epoch: int | None):
        self.data, self._look = data, None
        count = data.num_batches if isinstance(data, keras.utils.PyDataset) else None
        self.steps = steps_per_epoch or count
        self._repeats = bool(count and steps_per_epoch)
        options = {"class_weight": class_weight, "steps_per_epoch": steps_per_epoch}
        self._options = {name: value for name, value in options.items() if value is not None}

    def options(self, position: Position) -> dict[str, Any]:
        return self._options

    def start(self, position: Position, taken: Callable[[int], None] | None = None):
        if isinstance(self.data, keras.utils.PyDataset) and (self._look or self._repeats):
            return _Passed(self.data, self._look, self._repeats)
        return (
            (self._look(batch) for batch in self.data)
            if self._look and type(self.data).__name__ == "generator"
            else self.data
        )

    def watch(self, part, look) -> None:
        def looked_at(batch):
            if (images := part(batch)) is not None:
                self._noted(look, keras.ops.convert_to_numpy(images))
            return batch

        self._look = looked_at


class _Passed(keras.utils.PyDataset):
    """Wraps a user's PyDataset. Its batches can be checked, and it can start again from the beginning when it ends."""

    def __init__(self, data: keras.utils.PyDataset, look: Callable | None, repeats: bool):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data, self.look, self.repeats = data, look, repeats

    @property
    def num_batches(self) -> int | None:
        return None if self.repeats else self.data.num_batches

    def __getitem__(self, index: int) -> Any:
        if self.repeats:
            number, index = divmod(index, self.data.num_batches)
            if number and not index:
                self.data.on_epoch_end()
        return self.data[index] if self.look is None else self.look(self.data[index])

    def on_epoch_end(self) -> None:
        if not self.repeats:
            self.data.on_epoch_end()
