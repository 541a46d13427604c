"""The order of batches. The images of a step depend only on seed, epoch and step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvision import checks

__all__ = ["Position", "Source", "from_arrays"]


@dataclass
class Position:
    """The position of a training.

    Attributes:
        phase: Number of the phase of a schedule, from 0.
        epoch: Number of the epoch, from 0.
        step: Number of the step within the epoch, from 0.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Source:
    """Reads the rows 0 to `count` - 1 by their numbers, in batches.

    A `Source` is training data for `kv.training.fit`. The rows of each step depend only on `seed`, epoch and step, so a
    training can be resumed in the middle of an epoch.

    Attributes:
        read: A function of an int64 array of n row numbers. It returns a batch in the form that Keras takes, such as
            `(x, y)`. The first axis of each array is n.
        count: Number of rows.
        batch_size: Number of rows per batch, for all replicas together.
        spec: One batch as `keras.KerasTensor` objects.
        seed: Seed of the permutation of the rows in each epoch. If None, the rows keep their order.
        drop_remainder: Whether to leave out a last batch that is smaller than `batch_size`.
        fresh: Whether `read` gets epoch * count + row instead of the row number. With these numbers `read` can draw new
            random numbers in each epoch.
        look: A function of (row numbers, batch of `read`) that returns a batch as `spec` describes it. The function
            runs in parallel in the graph of `tf.data`, so it needs TensorFlow. If None, `read` returns the batch.
        read_spec: The batch of `read` as `keras.KerasTensor` objects, if `look` is given.
        steps_per_epoch: Number of batches per epoch. If None, an epoch is one pass over the rows. If given, each epoch
            starts where the previous epoch ended, and reads the rows as often as needed.

    Raises:
        UserError: If a batch would be empty, or `batch_size` or `steps_per_epoch` is below 1.

    Example:
        >>> x = np.arange(10, dtype="float32")
        >>> spec = (keras.KerasTensor((None,)),)
        >>> source = kv.training.Source(lambda rows: (x[rows],), count=10, batch_size=4, spec=spec, seed=0)
        >>> source.steps, sorted(source.order(epoch=0).tolist()) == list(range(10))
        (3, True)
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
            raise checks.UserError("batch_size", expected="a count of at least 1", received=self.batch_size)
        if self.count < 1:
            raise checks.UserError("count", expected="at least one row", received=self.count)
        if self._pass < 1:
            expected = f"at most the {self.count} rows: a smaller last batch is left out"
            raise checks.UserError("batch_size", expected=expected, received=self.batch_size)
        if self.steps < 1:
            raise checks.UserError("steps_per_epoch", expected="a count of at least 1", received=self.steps_per_epoch)

    @property
    def steps(self) -> int:
        """Number of batches per epoch."""
        return self._pass if self.steps_per_epoch is None else self.steps_per_epoch

    @property
    def _pass(self) -> int:
        """Number of batches per pass over all rows."""
        return self.count // self.batch_size if self.drop_remainder else -(-self.count // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """Returns the rows of one pass in the order in which they are read.

        Args:
            epoch: Number of the pass. It is the number of the epoch, unless `steps_per_epoch` is set.

        Returns:
            `(count,)` int64 row numbers.
        """
        first = epoch * self.count if self.fresh else 0
        if self.seed is None:
            return first + np.arange(self.count)
        return first + np.random.default_rng([self.seed, epoch]).permutation(self.count)

    def batch(self, rows: np.ndarray) -> Any:
        """Reads one batch.

        Args:
            rows: int64 row numbers.

        Returns:
            The batch, as `spec` describes it.
        """
        found = self.read(rows)
        return found if self.look is None else self.look(rows, found)

    def rows(self, position: Position) -> Iterator[np.ndarray]:
        """Yields the row numbers of each batch, from a position to the end of its epoch.

        Args:
            position: The position of the first batch.

        Yields:
            One int64 array per batch.
        """
        known, order = -1, np.zeros(0, "int64")
        for step in range(position.step, self.steps):
            number, within = divmod(position.epoch * self.steps + step, self._pass)
            if number != known:
                known, order = number, self.order(number)
            yield order[within * self.batch_size : (within + 1) * self.batch_size]


def from_arrays(arrays: tuple, *, batch_size: int, seed: int | None, argument: str = "train") -> Source:
    """Creates a source from arrays.

    Args:
        arrays: `(x,)`, `(x, y)` or `(x, y, sample_weight)`. Each part is an array, or a structure of arrays. The first
            axis has the same length everywhere.
        batch_size: Number of rows per batch.
        seed: Seed of the permutation. If None, the rows keep their order.
        argument: Name of the arrays in messages.

    Returns:
        The source.

    Raises:
        UserError: If the arrays have different lengths, if they do not contain numbers, or if an array before the last
            one is None.
    """
    if any(part is None for part in arrays):
        raise checks.UserError(
            argument,
            expected="(x, y) or (x, y, sample_weight), without a gap",
            received=[type(p).__name__ for p in arrays],
        )
    parts = keras.tree.map_structure(lambda part: _array(part, argument), arrays)
    shapes = [leaf.shape for leaf in keras.tree.flatten(parts)]
    counts = {shape[0] if shape else None for shape in shapes}
    if len(counts) != 1 or None in counts:
        raise checks.UserError(
            argument,
            expected="arrays of one length",
            received=shapes,
            hint="np.stack(images) makes an array of a list of images" if len(shapes) > len(arrays) else "",
        )
    if 0 in counts:
        raise checks.UserError(argument, problem="gives no batch", expected="at least one row", received=shapes)
    return Source(
        read=lambda rows: keras.tree.map_structure(lambda leaf: leaf[rows], parts),
        count=counts.pop(),
        batch_size=batch_size,
        spec=keras.tree.map_structure(lambda leaf: keras.KerasTensor((None, *leaf.shape[1:]), str(leaf.dtype)), parts),
        seed=seed,
    )


def _array(value: Any, argument: str) -> np.ndarray:
    """Converts float64 to Keras' float type once. Otherwise each step would convert it."""
    array = np.asarray(value)
    if array.dtype.kind in "SUO":
        raise checks.UserError(
            argument,
            problem="holds no numbers",
            expected="images in [0, 255], and labels from 0",
            received=array.ravel()[:3].tolist(),
            hint="class_names, labels = np.unique(labels, return_inverse=True) numbers labels that are words",
        )
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array
