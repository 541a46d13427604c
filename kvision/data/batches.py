"""Creates batches for training from a dataset. Sets their order, reads in parallel, and handles lost files."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from kvision import checks
from kvision.data.images import Images
from kvision.data.lost import Lost, Tolerant

if TYPE_CHECKING:  # so that code that only scans or converts files does not wait for Keras and TensorFlow
    import tensorflow as tf

    from kvision.training import Source

__all__ = ["Augmentable", "Batches", "batches"]


@runtime_checkable
class Augmentable(Protocol):
    """A dataset whose images are augmented together with their masks or boxes, before they are put into batches.

    `kv.data.MaskedImages` and `kv.data.BoxedImages` have these methods. A class that wraps such a dataset can return
    batches of any structure: `example` can add its own boxes to the objects of an image, and `stack` can separate them
    again.
    """

    def __len__(self) -> int: ...

    def path(self, index: int) -> str:
        """Returns the path of the file of an image."""
        ...

    def example(self, index: int) -> tuple[np.ndarray, Any]:
        """Returns an image `(h, w, 3)` uint8 and its mask or objects: the first two arguments of `augment`."""
        ...

    def stack(self, examples: Sequence[tuple[np.ndarray, Any]]) -> tuple[Any, Any]:
        """Returns the batch (inputs, targets) of the results of `augment`. Both can be structures of arrays."""
        ...

    def spec(self, height: int, width: int) -> tuple[Any, Any]:
        """Returns a batch of images of this size as `keras.KerasTensor` objects, with the structure of `stack`."""
        ...


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of a dataset for `kv.training.fit`. `kv.data.batches` creates them.

    Attributes:
        source: Reads batches by the numbers of the images; see `kv.training.Source`.
        lost: Files that could no longer be read during training. Each file is listed once.
    """

    source: "Source"
    lost: list[Lost]

    def tf_dataset(self, *, first_epoch: int = 0) -> "tf.data.Dataset":
        """Returns these batches as a `tf.data.Dataset` for Keras' own `fit`, read in parallel and prefetched.

        Args:
            first_epoch: The epoch of the first pass, for a training that continues. Each further pass is the next
                epoch.

        Returns:
            The batches of one epoch. Every pass over the dataset is a new epoch. A file that cannot be read raises
            tf.errors.InvalidArgumentError with the name of the file.
        """
        import keras
        import tensorflow as tf

        from kvision.distribute import inputs
        from kvision.training.source import Position

        source, epochs = self.source, itertools.count(first_epoch)
        flat = keras.tree.flatten(source.spec)

        def rows() -> Iterator[np.ndarray]:
            return source.rows(Position(epoch=next(epochs)))

        def read(numbers: np.ndarray) -> list[np.ndarray]:
            return keras.tree.flatten(source.read(numbers))

        @tf.autograph.experimental.do_not_convert
        def load(numbers: tf.Tensor) -> Any:
            leaves = tf.numpy_function(read, [numbers], [leaf.dtype for leaf in flat])
            leaves = [tf.ensure_shape(leaf, known.shape) for leaf, known in zip(leaves, flat, strict=True)]
            return keras.tree.pack_sequence_as(source.spec, leaves)

        numbers = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec((None,), tf.int64))
        stream = inputs.untuned(numbers.map(load, tf.data.AUTOTUNE))
        return stream.apply(tf.data.experimental.assert_cardinality(source.steps)).prefetch(tf.data.AUTOTUNE)


def batches(
    dataset: Images | Augmentable,
    *,
    augment: Callable[[np.ndarray, Any, np.random.Generator], tuple[np.ndarray, Any]] | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    fields: Sequence[str] | None = None,
    drop_remainder: bool = False,
    lost_fraction: float = 0.01,
) -> Batches:
    """Creates batches for training from images with labels, masks or boxes.

    Files are decoded in parallel while the model works. With several machines, each machine decodes only the part of
    its own replicas. If the dataset has a store of decoded pixels (see `kv.data.from_folder`), pixels are read from the
    store instead of the files.

    Args:
        dataset: Images with labels, masks or boxes, or a similar dataset; see `kv.data.Augmentable`.
        augment: Makes random changes to an image and its mask or boxes together. It is a `kv.augment.JointAugment`, or
            a similar callable with the attributes `height` and `width`. Images with masks or boxes need this argument.
            Images with labels do not accept it, because layers of `kv.augment` in the model augment them. The random
            numbers depend only on the seed, the epoch and the image. So a resumed training sees the same images as an
            uninterrupted training.
        seed: Seed of a new permutation of all images in each epoch. The order depends only on the seed and the epoch.
            If None, the order of the dataset is kept, and `augment` uses seed 0.
        batch_size: Number of images per batch, for all replicas together. Defaults to `dataset.batch_size`, or to 8 for
            images with masks or boxes.
        fields: Any of "image", "index" (the place of an image in `dataset`) and "label". If given, batches are
            dictionaries with these keys instead of tuples, for training methods (see `kv.training.Objective`). Without
            "label", batches contain no labels.
        drop_remainder: Whether to leave out a last, smaller batch.
        lost_fraction: Share of the files, in [0, 1), that may be deleted or damaged while the training runs. Each lost
            file is reported on standard error and listed in `lost`. A different image of the same batch replaces it.

    Returns:
        Batches (images, labels). Images are `(batch, height, width, 3)` uint8. Labels are int32, `(batch,)`. For images
        with masks, labels are `(batch, height, width)`: 0 to K - 1, or 255 for pixels that do not count. For images
        with boxes, labels are float32 `(batch, objects, 5)`: the box and the class of each object, or 6 columns for
        rotated boxes. `objects` is the largest number of objects in an image of the dataset. Unused rows have the class
        -1. Difficult objects are left out.

    Raises:
        UserError: If an argument is out of range or does not fit the dataset. Also while batches are read, if more
            files are lost than allowed.

    Example:
        >>> images = kv.data.from_arrays(np.zeros((5, 32, 32, 3), "uint8"), np.arange(5) % 2, image_size=32)
        >>> made = kv.data.batches(images, seed=0, batch_size=2)
        >>> made.source.steps
        3
        >>> [labels.shape for _, labels in made.tf_dataset()]
        [TensorShape([2]), TensorShape([2]), TensorShape([1])]
    """
    import keras

    from kvision.training import Source

    for name in fields or ():
        checks.one_of("fields", name, ("image", "index", "label"))
    together = isinstance(dataset, Augmentable)
    if together != (augment is not None):
        needed = "a kv.augment.JointAugment for images with masks or boxes"
        expected = needed if together else "None: put layers of kv.augment in a model"
        raise checks.UserError("augment", expected=expected, received=augment)
    count, whole = len(dataset), not together and dataset.decoded

    def one(number: int) -> Any:
        epoch, row = divmod(int(number), count)
        if augment is None:
            return dataset.image(row)
        # NumPy treats [seed, epoch, 0] like [seed, epoch], which is the seed of the epoch's order. So no row may be 0.
        return augment(*dataset.example(row), np.random.default_rng([seed or 0, epoch, row + 1]))

    tolerant = Tolerant(
        one, lambda number: dataset.path(number % count) or str(number), count=count, lost_fraction=lost_fraction
    )

    def read(numbers: np.ndarray) -> tuple:
        found, numbers = (dataset.take(numbers), numbers) if whole else tolerant(numbers)
        inputs, targets = dataset.stack(found) if together else (found if whole else np.stack(found), None)
        values = {
            "image": lambda: inputs,
            "index": lambda: (numbers % count).astype("int32"),
            "label": lambda: targets if together else dataset.labels[numbers].astype("int32"),
        }
        if fields is None:
            return values["image"](), values["label"]()
        return ({name: values[name]() for name in fields},)

    if together:
        inputs, targets = dataset.spec(augment.height, augment.width)
    else:
        inputs = keras.KerasTensor((None, dataset.image_size, dataset.image_size, 3), "uint8")
        targets = keras.KerasTensor((None,), "int32")
    kinds = {"image": inputs, "index": keras.KerasTensor((None,), "int32"), "label": targets}
    spec = (inputs, targets) if fields is None else ({name: kinds[name] for name in fields},)
    size = batch_size if batch_size is not None else 8 if together else dataset.batch_size
    source = Source(read, count, size, spec, seed=seed, drop_remainder=drop_remainder, fresh=together)
    return Batches(source, tolerant.lost)
