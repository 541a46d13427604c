"""Global batches shared out among replicas and machines."""

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kvision import checks
from kvision.distribute import strategy

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["class_weighted", "on_replicas", "split", "stream", "untuned", "watched"]


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
    """What `fit` of the open scope takes: batches read in parallel and prefetched, an iteration an epoch.

    rows: called at the start of each iteration; gives the row numbers of each global batch. read: row numbers -> a
    structure of arrays as `spec` (KerasTensors). steps: global batches in an iteration. look: (row numbers, what `read`
    gave) -> a batch as `spec`, in TensorFlow's graph; read then gives `read_spec`. taken: called with the number of the
    iteration when a replica's part leaves the pipeline. A machine reads only the rows of its own replicas.
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
        return tuple(leaves), share, iteration  # tf.data would make one tensor of a list

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
    return on_replicas(make, steps)


def untuned(dataset: "tf.data.Dataset") -> "tf.data.Dataset":
    """The same dataset without TensorFlow's tuning of it, for whose thread the end of an iterator can wait, and with it
    the next epoch (TensorFlow 2.21, 2 cores, SimCLR on ResNet-18: 2.7 s, idle, before two of three epochs of 7.2 s).

    AUTOTUNE then stands for a call on each core: as many images a second, where reading is the work.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def watched(
    dataset: "tf.data.Dataset", part: Callable[[Any], Any], look: Callable[[np.ndarray], Any]
) -> "tf.data.Dataset":
    """Returns the same dataset, of which `look` is called with a part of each batch, as an array, and may raise."""
    import tensorflow as tf

    def call(values: np.ndarray) -> np.ndarray:
        look(values)
        return np.array(True)

    def give(*parts):
        batch: Any = parts[0] if len(parts) == 1 else parts
        with tf.control_dependencies([tf.numpy_function(call, [part(batch)], tf.bool)]):
            return keras.tree.map_structure(tf.identity, batch)

    return dataset.map(_plain(give))


def class_weighted(dataset: "tf.data.Dataset", table: np.ndarray) -> "tf.data.Dataset":
    """Batches (x, y) or (x, y, sample_weight) with a weight for the class of each label; see `training.class_weight`.

    table: the weights by class number, the last one for all beyond.
    """
    import tensorflow as tf

    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or not isinstance(spec[1], tf.TensorSpec):
        raise checks.error(
            "class_weight",
            problem="needs a label for each image, as one array",
            expected="batches (x, y) or (x, y, sample_weight)",
            received=spec,
        )

    def add(x, y, *weights):
        labels, rank = y, y.shape.rank
        if rank > 1 and y.shape[-1] == 1:
            labels = y[..., 0]
        elif rank == 2 or (rank > 2 and y.dtype.is_floating):
            labels = tf.argmax(y, axis=-1)
        numbers = tf.round(labels) if labels.dtype.is_floating else labels
        found = tf.gather(table, tf.clip_by_value(tf.cast(numbers, tf.int64), 0, len(table) - 1))
        return x, y, found * tf.cast(weights[0], found.dtype) if weights else found

    return dataset.map(_plain(add), tf.data.AUTOTUNE)


def _plain(function: Callable) -> Callable:
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def _shares(batch, count: int, first: int, last: int):
    """The parts of a global batch for replicas first ... last - 1, each with its weight.

    A batch that does not divide is given whole to every replica, with weight 1 / count: statistics, loss and gradient
    are then those of one device.
    """
    if len(batch) % count:
        for _ in range(first, last):
            yield batch, np.float32(1 / count)
        return
    size = len(batch) // count
    for replica in range(first, last):
        yield batch[replica * size : (replica + 1) * size], np.float32(1)


def on_replicas(make: Callable[[int, int], "tf.data.Dataset"], steps: int) -> "tf.distribute.DistributedDataset":
    """One dataset a machine, made for its replicas first ... last - 1, whose elements go to them in turn."""
    import tensorflow as tf

    current = tf.distribute.get_strategy()

    def local(context: tf.distribute.InputContext) -> tf.data.Dataset:
        each = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * each
        return untuned(make(first, first + each))

    dataset = current.distribute_datasets_from_function(local)
    # Keras asks for the steps of an epoch, and TensorFlow counts the elements of one machine
    dataset._cardinality = steps
    return dataset


def split(dataset: "tf.data.Dataset") -> "tf.distribute.DistributedDataset":
    """A user's dataset of global batches for the open scope. Every machine reads it whole and keeps its part."""
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

    return on_replicas(make, int(dataset.cardinality()))
