"""A stream of images and labels in batches, from a folder or from an array."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.data.scan import Scan, scan
from kvision.pixels import graph

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["Images", "arrays", "folders"]

_PIXEL_PATH = "kvision pixels 1"  # raised when decoding or resizing changes a value


class Images:
    """Images (B, S, S, 3) uint8 with labels (B,) int32, in batches, as often as wanted; made by `folders` or `arrays`.

    labels: (N,) int32. class_names: tuple. image_size: S. digests: (N,) of the pixels, equal for exact copies.
    content: (N,) hashes of what is read. names: (N,) paths or indices. len() counts images. Nothing is held decoded:
    files are decoded and arrays resized batch by batch.
    """

    def __init__(
        self, source: np.ndarray, *, labels: np.ndarray, class_names: Sequence[str], image_size: int, batch_size: int,
        digests: np.ndarray, content: np.ndarray, names: np.ndarray,
    ):  # fmt: skip
        self._source = source  # file paths as strings, or pixels (N, H, W, 3) uint8
        self.labels, self.class_names = labels, tuple(class_names)
        self.image_size, self.batch_size = image_size, batch_size
        self.digests, self.content, self.names = digests, content, names

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fingerprint(self) -> str:
        """Changes with any image, their order, the size, and the way pixels are made."""
        text = "\n".join([_PIXEL_PATH, str(self.image_size), *self.content])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: np.ndarray) -> "Images":
        """The images at `indices`, in that order."""
        return Images(
            self._source[indices],
            labels=self.labels[indices],
            class_names=self.class_names,
            image_size=self.image_size,
            batch_size=self.batch_size,
            digests=self.digests[indices],
            content=self.content[indices],
            names=self.names[indices],
        )

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(images, labels) batches in order, as NumPy arrays."""
        return self.batches().as_numpy_iterator()

    def batches(self, *, shuffle_seed: int | None = None) -> "tf.data.Dataset":
        """A `tf.data.Dataset` of (images, labels) for `fit`, decoded in parallel and prefetched.

        shuffle_seed: shuffles all images (their indices, so memory stays flat) in a new order each epoch that follows
        from the seed; None keeps the order.
        """
        import tensorflow as tf

        indices = tf.data.Dataset.range(len(self))
        if shuffle_seed is not None:
            indices = indices.shuffle(max(len(self), 1), seed=shuffle_seed, reshuffle_each_iteration=True)
        labels, shape = tf.constant(self.labels), (None, self.image_size, self.image_size, 3)
        if self._source.dtype == np.uint8:

            def rows(index: np.ndarray) -> np.ndarray:
                return self._source[index]

            def pixels(index):  # not a constant of the graph, which would copy the array
                taken = tf.numpy_function(rows, [index], tf.uint8)
                return graph.resize(tf.ensure_shape(taken, (None, *self._source.shape[1:])), self.image_size)

            def fetch(index):
                return tf.ensure_shape(pixels(index), shape), tf.gather(labels, index)

            return indices.batch(self.batch_size).map(fetch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
        paths = tf.constant(self._source)

        def read(index):
            return graph.load(tf.io.read_file(paths[index]), self.image_size), labels[index]

        return indices.map(read, tf.data.AUTOTUNE).batch(self.batch_size).prefetch(tf.data.AUTOTUNE)


def folders(folder: str | Path | Scan, *, image_size: int, batch_size: int = 32) -> Images:
    """The usable images of a folder with one sub-folder per class, or of a scan of it (see `kv.data.scan`)."""
    found = folder if isinstance(folder, Scan) else scan(folder)
    return Images(
        np.array([str(found.folder / path) for path in found.paths], object),
        labels=found.labels,
        class_names=found.class_names,
        image_size=image_size,
        batch_size=batch_size,
        digests=np.array(found.digests),
        content=np.array(found.file_hashes),
        names=np.array(found.paths, object),
    )


def arrays(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    class_names: Sequence[str] | None = None,
    image_size: int,
    batch_size: int = 32,
) -> Images:
    """Images (N, H, W, 3), or grey (N, H, W), uint8, resized batch by batch. labels: (N,) int; None gives zeros."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise checks.error(
            "images", expected="uint8 (N, H, W, 3) or (N, H, W)", received=f"{images.dtype} {images.shape}"
        )
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    labels = np.zeros(len(images), "int32") if labels is None else np.asarray(labels, "int32").reshape(-1)
    if len(labels) != len(images):
        raise checks.error("labels", expected=f"{len(images)}, one an image", received=len(labels))
    head = str(images.shape[1:]).encode()
    digests = np.array([hashlib.sha256(head + np.ascontiguousarray(image).data).hexdigest() for image in images])
    return Images(
        images,
        labels=labels,
        class_names=class_names or [str(i) for i in range(int(labels.max(initial=0)) + 1)],
        image_size=image_size,
        batch_size=batch_size,
        digests=digests,
        content=digests,
        names=np.array([str(i) for i in range(len(images))], object),
    )
