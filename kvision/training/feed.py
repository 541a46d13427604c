"""What people give as data -> what Keras' `fit` of the open scope takes, from any step of any epoch."""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

import keras
import numpy as np
from tqdm import tqdm

from kvision import checks, distribute
from kvision.distribute import inputs
from kvision.training.class_weight import table_of, weighted
from kvision.training.source import Position, Source, from_arrays

__all__ = ["Feed", "feed"]

_AHEAD = 2  # batches
# what else Keras takes, by the names of the classes, of PyTorch and of Grain; Keras asks for the names too
_OF_KERAS = {"generator", "DataLoader", "MapDataset", "IterDataset"}


class Feed(Protocol):
    """steps: of an epoch, None where nobody knows. spec: one batch as KerasTensors, None where nobody knows. rows: of a
    batch, 0 where nobody knows. seed: of the order, None where it keeps or brings its own. failure: what reading
    raised, which TensorFlow only quotes. enters: whether a pass can begin in the middle of an epoch.
    """

    steps: int | None
    spec: Any
    rows: int
    seed: int | None
    failure: Exception | None
    enters: bool

    def options(self, position: Position) -> dict[str, Any]:
        """What `fit` is told beside the data."""
        ...

    def start(self, position: Position, taken: Callable[[int], None] | None = None) -> Any:
        """An object for `fit`. Each iteration reads `position` and gives its epoch's batches from its step on.

        taken: called when a part of a batch leaves the pipeline, with the number of the iteration; see `Pace`.
        """
        ...

    def batch_of(self, epoch: int, step: int) -> Any:
        """What a step saw, for a post-mortem; None where that cannot be told."""
        ...


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
    """Makes a Feed of any data that people train on.

    Args:
        data: A Source or what has a `source`, arrays (x, y) or (x, y, sample_weight), `kv.data.Images`, a
            `tf.data.Dataset`, or, on one replica, another iterable that Keras takes.
        batch_size: Rows of a batch of arrays.
        seed: Permutes arrays and `kv.data.Images`; None keeps their order.
        drops_tail: Whether to leave out a last, smaller batch, and say how much that is.
        argument: The name of the data in messages.
        class_weight: The weight of each class in the loss, by class number.
        steps_per_epoch: The batches of an epoch; None is all of the data.

    Raises:
        kvision.UserError: If the data cannot be trained on, or cannot be shared out evenly.
    """
    table = None if class_weight is None else table_of(class_weight)
    if isinstance(data, tuple | np.ndarray | dict):
        arrays = data if isinstance(data, tuple) else (data,)
        data = from_arrays(arrays, batch_size=batch_size, seed=seed)
    elif hasattr(data, "as_source"):  # kv.data.Images
        data = data.as_source(seed=seed)
    source = data if isinstance(data, Source) else getattr(data, "source", None)
    if source is not None:
        source = source if steps_per_epoch is None else replace(source, steps_per_epoch=steps_per_epoch)
        source = source if table is None else weighted(source, table)
        return _FromSource(_without_tail(source) if drops_tail else source)
    if hasattr(data, "element_spec") and hasattr(data, "skip"):
        data = data if table is None else inputs.class_weighted(data, table)
        return _FromDataset(data, drops_tail, argument, steps_per_epoch)
    if distribute.replica_count() > 1:
        raise checks.error(
            argument,
            problem="cannot be shared out among replicas",
            expected="arrays, kv.data.pipeline(...) or a tf.data.Dataset of global batches",
            received=type(data).__name__,
        )
    if not (isinstance(data, keras.utils.PyDataset) or _OF_KERAS & {kind.__name__ for kind in type(data).__mro__}):
        raise checks.error(
            argument,
            problem="is nothing that can be trained on or predicted from",
            expected="arrays, kv.data.Images, kv.data.pipeline(...), kv.data.mask_pipeline(...), a tf.data.Dataset, a "
            "keras.utils.PyDataset or a generator",
            received=type(data).__name__,
        )
    return _AsItIs(data, {"class_weight": class_weight, "steps_per_epoch": steps_per_epoch})


def _without_tail(source: Source) -> Source:
    replicas = distribute.replica_count()
    if rest := source.batch_size % replicas:
        below = source.batch_size - rest
        raise checks.error(
            "batch_size",
            problem=f"does not divide by the {replicas} replicas, and this loss goes across examples",
            expected=" or ".join(str(size) for size in (below, below + replicas) if size),
            received=source.batch_size,
        )
    tail = source.count % source.batch_size
    if tail and not source.drop_remainder and distribute.is_chief():
        text = f"The last {tail} of {source.count} rows make no whole batch: each epoch leaves {tail} out."
        tqdm.write(text, file=sys.stderr)
    return replace(source, drop_remainder=True)


class _FromSource:
    enters = True

    def __init__(self, source: Source):
        self.source, self.spec, self.rows = source, source.spec, source.batch_size
        self.steps: int | None = source.steps
        self.seed: int | None = source.seed
        self.failure: Exception | None = None

    def start(self, position: Position, taken: Callable[[int], None] | None = None):
        steps = self.source.steps - position.step
        if keras.backend.backend() != "tensorflow":
            return _Batches(self.source, position, steps)
        more = {"look": self.source.look, "read_spec": self.source.read_spec, "taken": taken}
        return inputs.stream(lambda: self.source.rows(position), self._read, self.spec, steps, **more)

    def options(self, position: Position) -> dict[str, Any]:
        return {}

    def _read(self, rows: np.ndarray):
        try:
            return self.source.read(rows)
        except Exception as failure:
            self.failure = self.failure or failure  # others, read ahead, may follow from the first
            raise

    def batch_of(self, epoch: int, step: int):
        return self.source.batch(next(self.source.rows(Position(epoch=epoch, step=step))))


class _Batches(keras.utils.PyDataset):
    """A source on the backends without `tf.data`. A thread reads ahead while the model works."""

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


class _FromDataset:
    enters = True

    def __init__(self, dataset, drops_tail: bool, argument: str, steps_per_epoch: int | None):
        self.dataset, replicas = dataset, distribute.replica_count()
        # views may have lost what the index beside them still says
        leaves = keras.tree.flatten(dataset.element_spec)
        if not leaves or any(len(leaf.shape) == 0 for leaf in leaves):
            raise checks.error(
                argument,
                problem="gives single examples",
                expected="a tf.data.Dataset of batches: .batch(SIZE)",
                received=dataset.element_spec,
            )
        self.rows = max(leaf.shape[0] or 0 for leaf in leaves)
        if drops_tail and (not self.rows or self.rows % replicas):
            divisible = f", divisible by {replicas}" if replicas > 1 else ""
            raise checks.error(
                argument,
                problem="may hold a batch of another size, and this loss goes across examples",
                expected=f"batches of one size{divisible}: .batch(SIZE, drop_remainder=True)",
                received=dataset.element_spec,
            )
        count, endless = int(dataset.cardinality()), -1
        if count == 0 or (count == endless and steps_per_epoch is None):
            raise checks.error(
                argument,
                problem="gives no batch" if count == 0 else "has no end",
                expected="a dataset whose end is that of an epoch",
                received=dataset,
                hint="" if count == 0 else "Leave out .repeat(), give it a .take(STEPS), or say steps_per_epoch",
            )
        self._endless = steps_per_epoch is not None
        if self._endless:
            checks.positive({"steps_per_epoch": steps_per_epoch})
            self.dataset = dataset if count == endless else dataset.repeat()
        self.steps: int | None = steps_per_epoch if self._endless else count if count >= 0 else None
        self.seed: int | None = None
        self.spec = keras.tree.map_structure(
            lambda leaf: keras.KerasTensor(leaf.shape, leaf.dtype.name), dataset.element_spec
        )
        self.failure: Exception | None = None

    def options(self, position: Position) -> dict[str, Any]:
        return {"steps_per_epoch": (self.steps or 0) - position.step} if self._endless else {}

    def start(self, position: Position, taken: Callable[[int], None] | None = None):
        # an endless dataset goes on from epoch to epoch
        taken_before = position.step + (position.epoch * (self.steps or 0) if self._endless else 0)
        dataset = self.dataset.skip(taken_before) if taken_before else self.dataset
        return inputs.split(dataset) if distribute.replica_count() > 1 else inputs.untuned(dataset)

    def batch_of(self, epoch: int, step: int):
        return None


class _Endless(keras.utils.PyDataset):
    """A finite PyDataset that begins anew where it ends."""

    def __init__(self, data: keras.utils.PyDataset):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data = data

    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int):
        number, within = divmod(index, self.data.num_batches)
        if number and not within:
            self.data.on_epoch_end()
        return self.data[within]


class _AsItIs:
    enters = False

    def __init__(self, data, options: dict[str, Any]):
        self.data, self.spec, self.rows = data, None, 0
        self.seed: int | None = None
        count = data.num_batches if isinstance(data, keras.utils.PyDataset) else None
        self.steps: int | None = options["steps_per_epoch"] or count
        if count and options["steps_per_epoch"]:
            self.data = _Endless(data)
        self.failure: Exception | None = None
        self._options = {name: value for name, value in options.items() if value is not None}

    def options(self, position: Position) -> dict[str, Any]:
        return self._options

    def start(self, position: Position, taken: Callable[[int], None] | None = None):
        return self.data

    def batch_of(self, epoch: int, step: int):
        return None
