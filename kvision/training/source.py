"""Where batches come from: which images a step sees follows from seed, epoch and step alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvision import checks

__all__ = ["Position", "Source", "from_arrays"]


@dataclass
class Position:
    """Where a training stands: phase of a schedule, epoch, and step within it, each from 0."""

    phase: int = 0
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Source:
    """Rows 0 ... count - 1, read by index, in batches.

    read: int64 array of n row numbers -> a structure of arrays with first axis n, as Keras takes batches ((x, y) or
    (x, y, sample_weight)). seed: permutes the rows anew in each epoch; None keeps their order. spec: one batch as
    `keras.KerasTensor`s. drop_remainder: leaves out a last batch smaller than `batch_size`. fresh: `read` is given
    epoch * count + row, so that it can draw other random numbers in each epoch. look: (row numbers, batch of `read`) ->
    one of `spec`, in the graph of `tf.data`, in parallel; read_spec: then, of what `read` gives. On TensorFlow alone.
    steps_per_epoch: batches of an epoch, which then goes on where the one before ended, through as many passes over the
    rows as it takes; None is one pass.
    """

    read: Callable[[np.ndarray], Any]
    count: int
    batch_size: int
    spec: Any
    seed: int | None = None
    drop_remainder: bool = False
    fresh: bool = False
    look: Callable[[Any, Any], Any] | None = None
    read_spec: Any = None
    steps_per_epoch: int | None = None

    def __post_init__(self):
        if self.batch_size < 1:
            raise checks.error("batch_size", expected="a count of at least 1", received=self.batch_size)
        if self._pass < 1:
            rows = f"at least {self.batch_size} rows" if self.drop_remainder else "at least one row"
            raise checks.error("train", problem="gives no batch", expected=rows, received=self.count)
        if self.steps < 1:
            raise checks.error("steps_per_epoch", expected="a count of at least 1", received=self.steps_per_epoch)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._pass if self.steps_per_epoch is None else self.steps_per_epoch

    @property
    def _pass(self) -> int:
        """Batches in a pass over all rows."""
        return self.count // self.batch_size if self.drop_remainder else -(-self.count // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """(count,) int64: the rows of a pass, which is an epoch mostly, in the order in which they are seen."""
        first = epoch * self.count if self.fresh else 0
        if self.seed is None:
            return first + np.arange(self.count)
        return first + np.random.default_rng([self.seed, epoch]).permutation(self.count)

    def batch(self, rows: np.ndarray) -> Any:
        """What is made of these rows."""
        found = self.read(rows)
        return found if self.look is None else self.look(rows, found)

    def rows(self, position: Position) -> Iterator[np.ndarray]:
        """The row numbers of each batch from `position` to the end of its epoch."""
        known, order = -1, np.zeros(0, "int64")
        for step in range(position.step, self.steps):
            number, within = divmod(position.epoch * self.steps + step, self._pass)
            if number != known:
                known, order = number, self.order(number)
            yield order[within * self.batch_size : (within + 1) * self.batch_size]


def from_arrays(arrays: tuple, *, batch_size: int, seed: int | None) -> Source:
    """A source of (x, y) or (x, y, sample_weight): each an array or a structure of arrays with the same first axis."""
    while arrays and arrays[-1] is None:
        arrays = arrays[:-1]
    if any(part is None for part in arrays):
        raise checks.error(
            "train",
            expected="(x, y) or (x, y, sample_weight), without a gap",
            received=[type(p).__name__ for p in arrays],
        )
    parts = keras.tree.map_structure(_array, arrays)
    shapes = [leaf.shape for leaf in keras.tree.flatten(parts)]
    counts = {shape[0] if shape else None for shape in shapes}
    if len(counts) != 1 or None in counts:
        raise checks.error(
            "train",
            expected="arrays of one length",
            received=shapes,
            hint="np.stack(images) makes an array of a list of images" if len(shapes) > len(arrays) else "",
        )
    return Source(
        read=lambda rows: keras.tree.map_structure(lambda leaf: leaf[rows], parts),
        count=counts.pop(),
        batch_size=batch_size,
        spec=keras.tree.map_structure(lambda leaf: keras.KerasTensor((None, *leaf.shape[1:]), str(leaf.dtype)), parts),
        seed=seed,
    )


def _array(value: Any) -> np.ndarray:
    """Keras trains in its own float type; an array of doubles would be converted in each step."""
    array = np.asarray(value)
    if array.dtype.kind in "SUO":
        raise checks.error(
            "train",
            problem="holds no numbers",
            expected="images in [0, 255], and labels from 0",
            received=array.ravel()[:3].tolist(),
            hint="class_names, labels = np.unique(labels, return_inverse=True) numbers labels that are words",
        )
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array
