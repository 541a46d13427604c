"""Divides global batches among replicas and machines."""

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kvision.distribute import strategy

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["split", "stream", "untuned", "watched", "weighted"]


def stream(
    rows: Callable[[], Iterator[np.ndarray]],
    read: Callable[[np.ndarray], Any],
    spec: Any,
    steps: int,
    *,
    look: Callable[[Any, Any], Any] | None = None,
    read_spec: Any = None,
    taken: Callable[[int], None] | None = None,
) -> "tf.data.Dataset | tf.distribute.DistributedDataset":
    """Creates the dataset for `fit` under the open scope. Batches are read in parallel and prefetched.

    Each iteration is an epoch. A machine reads only the rows of its own replicas.

    Args:
        rows: A function that is called at the beginning of each iteration. It yields the row numbers of each global
            batch.
        read: A function of row numbers that returns a structure of arrays as `spec` describes it.
        spec: One batch as KerasTensors.
        steps: Number of global batches per iteration.
        look: A function of (row numbers, result of `read`) that returns a batch as `spec` describes it. It runs in
            TensorFlow's graph. If given, `read` returns arrays as `read_spec` describes them. If None, `read` returns
            the batch.
        read_spec: The result of `read` as KerasTensors, if `look` is given.
        taken: A function of the number of the iteration, or None. It is called when the part of a replica leaves the
            pipeline.

    Returns:
        A dataset of batches. On several replicas, it is a dataset of (batch, share) for each replica; see `_shares`.
    """
    import tensorflow as tf

    count, iterations = strategy.replica_count(), itertools.count()
    read_spec = spec if look is None else read_spec
    flat = keras.tree.flatten(read_spec)

    def load(chosen, share, iteration):
        def call(numbers):
            return [np.asarray(leaf) for leaf in keras.tree.flatten(read(numbers))]

        leaves = tf.numpy_function(call, [chosen], [leaf.dtype for leaf in flat])
        leaves = [tf.ensure_shape(leaf, known.shape) for leaf, known in zip(leaves, flat, strict=True)]
        if look is not None:
            leaves = keras.tree.flatten(look(chosen, keras.tree.pack_sequence_as(read_spec, leaves)))
        return tuple(leaves), share, iteration  # A tuple, because tf.data would turn a list into one tensor.

    def give(leaves, share, iteration):
        told = [] if taken is None else [tf.numpy_function(taken, [iteration], [])]
        with tf.control_dependencies(told):
            batch = keras.tree.pack_sequence_as(spec, [tf.identity(leaf) for leaf in leaves])
        return batch if count == 1 else (batch, share)

    def make(first: int, last: int) -> tf.data.Dataset:
        def shares() -> Iterator[tuple[np.ndarray, np.float32, int]]:
            iteration = next(iterations)
            for batch in rows():
                for part, share in _shares(batch, count, first, last):
                    yield part, share, iteration

        kinds = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int64))
        numbers = tf.data.Dataset.from_generator(shares, output_signature=kinds)
        ready = numbers.map(_plain(load), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        return ready.map(_plain(give))

    if count == 1:
        return untuned(make(0, 1)).apply(tf.data.experimental.assert_cardinality(steps))
    return _on_replicas(make, steps)


def untuned(dataset: "tf.data.Dataset") -> "tf.data.Dataset":
    """Returns the same dataset without TensorFlow's automatic tuning.

    The end of an iterator can wait for the tuning thread, and the next epoch then waits too (TensorFlow 2.21, 2 cores,
    SimCLR on ResNet-18: 2.7 s of idling before two of three epochs of 7.2 s). Without the tuning, AUTOTUNE means one
    call per core, which reads the same number of images per second.

    Args:
        dataset: Any dataset.

    Returns:
        The dataset.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def watched(
    dataset: "tf.data.Dataset", part: Callable[[Any], Any], look: Callable[[np.ndarray], Any]
) -> "tf.data.Dataset":
    """Returns the same dataset, and calls `look` with `part` of each batch as an array. `look` may raise."""
    import tensorflow as tf

    def call(values: np.ndarray) -> np.ndarray:
        look(values)
        return np.array(True)

    def give(*parts):
        batch: Any = parts[0] if len(parts) == 1 else parts
        with tf.control_dependencies([tf.numpy_function(call, [part(batch)], tf.bool)]):
            return keras.tree.map_structure(tf.identity, batch)

    return dataset.map(_plain(give))


def weighted(dataset: "tf.data.Dataset", weigh: Callable, spec: keras.KerasTensor) -> "tf.data.Dataset":
    """Adds sample weights `weigh(labels)`, with the shape of `spec`, to batches (x, y) or (x, y, sample_weight)."""
    import tensorflow as tf

    def add(x, y, *weights):
        found = tf.ensure_shape(tf.numpy_function(weigh, [y], spec.dtype), spec.shape)
        return x, y, found * tf.cast(weights[0], found.dtype) if weights else found

    return dataset.map(_plain(add), tf.data.AUTOTUNE)


def _plain(function: Callable) -> Callable:
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def _shares(batch, count: int, first: int, last: int):
    """Divides a global batch among replicas `first` to `last` - 1.

    If the batch cannot be divided evenly, every replica gets the whole batch with weight 1 / count. Then statistics,
    loss and gradient are the same as on one device.

    Yields:
        The part of each replica, and the weight of this part.
    """
    if len(batch) % count:
        for _ in range(first, last):
            yield batch, np.float32(1 / count)
        return
    size = len(batch) // count
    for replica in range(first, last):
        yield batch[replica * size : (replica + 1) * size], np.float32(1)


def _on_replicas(make: Callable[[int, int], "tf.data.Dataset"], steps: int) -> "tf.distribute.DistributedDataset":
    """Creates one dataset per machine. Its elements go in turn to the replicas `first` to `last` - 1 of the machine."""
    import tensorflow as tf

    current = tf.distribute.get_strategy()

    def local(context: tf.distribute.InputContext) -> tf.data.Dataset:
        each = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * each
        return untuned(make(first, first + each))

    dataset = current.distribute_datasets_from_function(local)
    # Keras needs the number of steps, but TensorFlow counts the elements of one machine.
    dataset._cardinality = steps
    return dataset


def split(dataset: "tf.data.Dataset") -> "tf.distribute.DistributedDataset":
    """Divides a dataset of global batches for the open scope. Every machine reads all of it and keeps its part."""
    import tensorflow as tf

    count = strategy.replica_count()

    def make(first: int, last: int) -> tf.data.Dataset:
        def part(*parts: Any):
            batch = parts[0] if len(parts) == 1 else parts
            rows = tf.shape(keras.tree.flatten(batch)[0])[0]
            whole = rows % count != 0
            size = rows // count

            def one(replica):
                begin = tf.where(whole, 0, replica * size)
                end = tf.where(whole, rows, (replica + 1) * size)
                share = tf.where(whole, 1 / count, 1.0)
                return keras.tree.map_structure(lambda leaf: leaf[begin:end], batch), share

            return tf.data.Dataset.range(first, last, output_type=tf.int32).map(one)

        return dataset.flat_map(part).prefetch(tf.data.AUTOTUNE)

    return _on_replicas(make, int(dataset.cardinality()))
