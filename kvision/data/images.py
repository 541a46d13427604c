"""A stream of images and labels in batches, from a folder or from an array."""

import hashlib
import itertools
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision import class_names as names_of_classes
from kvision.data.pixel_store import PIXEL_PATH, PixelStore
from kvision.data.scan import Scan, pixel_hash, scan
from kvision.data.splits import sample
from kvision.pixels import BadImage, pillow

if TYPE_CHECKING:
    import tensorflow as tf

    from kvision.training import Source

__all__ = ["Images", "from_arrays", "from_csv", "from_folder"]


class Images:
    """Images `(batch, size, size, 3)` uint8 with labels `(batch,)` int32, in batches, as often as wanted.

    `from_folder`, `from_csv` and `from_arrays` make them. `len()` counts images. Nothing is decoded ahead: files are
    decoded and arrays resized batch by batch, or read from a `PixelStore`.

    Attributes:
        labels: `(n,)` int32.
        class_names: The names of the classes.
        image_size: Height and width in pixels.
        batch_size: Images in a batch.
        pixel_hashes: `(n,)` hashes of the decoded pixels, equal for exact copies.
        file_hashes: `(n,)` hashes of what is read.
        names: `(n,)` paths or indices.
    """

    def __init__(
        self,
        source: np.ndarray,
        rows: np.ndarray,
        *,
        labels: np.ndarray,
        class_names: Sequence[str],
        image_size: int,
        batch_size: int,
        pixel_hashes: np.ndarray,
        file_hashes: np.ndarray,
        names: np.ndarray,
        pixels: PixelStore | None = None,
    ):
        for argument, value in {"image_size": image_size, "batch_size": batch_size}.items():
            if value < 1:
                raise checks.error(argument, expected="an integer of at least 1", received=value)
        if len(rows) == 0:
            raise checks.error("images", problem="are empty", expected="at least one image", received=0)
        self._source = source  # file paths as strings, or pixels (M, H, W, 3) or (M, H, W) uint8; shared by subsets
        self._rows = rows  # (N,) into source
        self.labels, self.class_names = labels, tuple(class_names)
        self.image_size, self.batch_size = image_size, batch_size
        self.pixel_hashes, self.file_hashes, self.names = pixel_hashes, file_hashes, names
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fingerprint(self) -> str:
        """Changes with any image, their order, the size, and the way pixels are made."""
        text = "\n".join([PIXEL_PATH, str(self.image_size), *self.file_hashes])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: np.ndarray) -> "Images":
        """The images at `indices`, in that order; nothing is copied."""
        return Images(
            self._source,
            self._rows[indices],
            labels=self.labels[indices],
            class_names=self.class_names,
            image_size=self.image_size,
            batch_size=self.batch_size,
            pixel_hashes=self.pixel_hashes[indices],
            file_hashes=self.file_hashes[indices],
            names=self.names[indices],
            pixels=self._pixels,
        )

    def some(self, count: int, *, seed: int = 0) -> "Images":
        """Returns about `count` images, balanced by class; one of each of `count` classes if there are more classes."""
        if len(self) <= count:
            return self
        chosen = sample(self.labels, max(1, count // len(np.unique(self.labels))), seed=seed)
        if len(chosen) > count:
            chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:count])
        return self.subset(chosen)

    def path(self, index: int) -> str | None:
        """The file of an image, None where the images are an array."""
        return None if self._source.dtype == np.uint8 else str(self._source[self._rows[index]])

    def original(self, index: int) -> np.ndarray:
        """One image in its own size, (H, W, 3) uint8."""
        path = self.path(index)
        return _rgb(self._source[self._rows[index]], 2) if path is None else pillow.decode(Path(path).read_bytes())

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(images, labels) batches in order, as NumPy arrays. UserError naming a file that changed since the scan.

        A batch is made when it is asked for, on all cores, not ahead: on a CPU decoding beside the network makes both
        wait (Lite0 at 224 px on 2 cores: 49 images/s, against 86 in turns).
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(self), self.batch_size):
                chosen = np.arange(start, min(start + self.batch_size, len(self)))
                images = self.take(chosen) if self.decoded else np.stack(list(pool.map(self.image, chosen)))
                yield images, self.labels[chosen].astype("int32")

    @property
    def decoded(self) -> bool:
        """Whether all are given as an array of this size: a batch is then one copy (256 of 32 px: .25 ms, not 25, on
        two cores)."""
        return self._source.dtype == np.uint8 and self._source.shape[1:3] == (self.image_size, self.image_size)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Some images as training sees them, (n, S, S, 3) uint8. UserError naming a file that changed."""
        if self.decoded:
            return _rgb(self._source[self._rows[indices]], 3)
        return np.stack([self.image(index) for index in indices])

    def image(self, index: int) -> np.ndarray:
        """One image as training sees it, (S, S, 3) uint8. UserError naming a file that changed since the scan."""
        found = self._source[self._rows[index]]
        if self._source.dtype == np.uint8:
            return pillow.resize(_rgb(found, 2), self.image_size)
        if self._pixels is None:
            return _read(found, self.file_hashes[index], self.image_size)
        if (image := self._pixels.get(self.file_hashes[index])) is None:
            image = _read(found, self.file_hashes[index], self.image_size)
            self._pixels.put(self.file_hashes[index], image)
        return image

    def example(self, index: int) -> tuple[np.ndarray, int]:
        """Returns an image as training sees it, `(size, size, 3)` uint8, and its label."""
        return self.image(index), int(self.labels[index])

    def as_source(self, *, seed: int | None = None) -> "Source":
        """These images for `kv.training.fit`, permuted anew by `seed` in each epoch; see `kv.data.pipeline`."""
        from kvision.data.pipeline import pipeline

        return pipeline(self, seed=seed).source

    def __repr__(self) -> str:
        # Keras' own `fit` does not take images, and shows them in its message
        return (
            f"<{len(self)} images of {self.image_size} px, {len(self.class_names)} classes; Keras' own `fit` takes "
            ".batches(shuffle_seed=0) of them>"
        )

    def batches(
        self, *, shuffle_seed: int | None = None, first_epoch: int = 0, drop_remainder: bool = False
    ) -> "tf.data.Dataset":
        """A `tf.data.Dataset` of (images, labels) for `fit`, decoded in parallel and prefetched.

        shuffle_seed: shuffles all images (their indices, so memory stays flat) in an order that follows from the seed
        and the epoch alone; None keeps the order. first_epoch: the epoch of the first pass, for a run that resumes;
        each further pass is the next. drop_remainder: leaves out a last batch smaller than the others.
        A file that changed since the scan raises tf.errors.InvalidArgumentError that names it.
        """
        import tensorflow as tf

        from kvision.distribute import inputs

        stream = inputs.untuned(self._load(self._order(shuffle_seed, first_epoch), drop_remainder))
        count = len(self) // self.batch_size if drop_remainder else -(-len(self) // self.batch_size)
        return stream.apply(tf.data.experimental.assert_cardinality(count)).prefetch(tf.data.AUTOTUNE)

    def _order(self, seed: int | None, first_epoch: int) -> "tf.data.Dataset":
        """0 ... N - 1, permuted anew in each pass; not `Dataset.shuffle`, whose order depends on the global seed."""
        import tensorflow as tf

        if seed is None:
            return tf.data.Dataset.range(len(self))
        epochs = itertools.count(first_epoch)

        def permutation() -> Iterator[np.ndarray]:
            yield np.random.default_rng([seed, next(epochs)]).permutation(len(self))

        spec = tf.TensorSpec((len(self),), tf.int64)
        return tf.data.Dataset.from_generator(permutation, output_signature=spec).unbatch()

    def _load(self, order: "tf.data.Dataset", drop_remainder: bool) -> "tf.data.Dataset":
        import tensorflow as tf

        side, labels = self.image_size, tf.constant(self.labels)

        @tf.autograph.experimental.do_not_convert
        def load(index):
            # Pillow's half: a third faster on two cores than TensorFlow's, whose graph also costs a second a pass
            images = tf.numpy_function(self.take, [index], tf.uint8)
            return tf.ensure_shape(images, (*index.shape, side, side, 3)), tf.gather(labels, index)

        return order.batch(self.batch_size, drop_remainder).map(load, tf.data.AUTOTUNE)


def _read(path: str, file_hash: str, image_size: int) -> np.ndarray:
    try:
        data = Path(path).read_bytes()
        image = pillow.load(data, image_size)
        if hashlib.sha256(data).hexdigest() != file_hash:  # features and pixels are kept under the hash of the scan
            raise BadImage("it holds other bytes")
        return image
    except (OSError, BadImage) as reason:
        raise checks.error(
            "data",
            problem=f"has changed since it was scanned: {getattr(reason, 'strerror', None) or reason}",
            expected="the images of the scan",
            received=path,
            hint="Scan the folder again",
        ) from None


def _rgb(images: np.ndarray, axis: int) -> np.ndarray:
    """Gray images get three equal channels; axis: where the channels are or would be."""
    return images if images.ndim > axis else np.repeat(images[..., None], 3, axis)


def from_folder(
    folder: str | Path | Scan,
    *,
    image_size: int,
    batch_size: int = 32,
    pattern: str | None = None,
    pixels: PixelStore | None = None,
) -> Images:
    """Reads the usable images of a folder with one sub-folder per class.

    Given a folder, warnings name files that cannot be used and folders that are not read. Given a scan, these stand in
    `scan.bad` and `scan.notes`.

    Args:
        folder: A folder, or what `kv.data.scan` returned for it.
        image_size: Height and width in pixels.
        batch_size: Images in a batch.
        pattern: A regular expression that finds the class in the names of files, see `kv.data.scan`.
        pixels: A store of that image size. An image is read from it, or else decoded and put there. A file that is
            gone since the scan is an error only where its pixels are not stored.

    Raises:
        kvision.UserError: If nothing can be used, see `kv.data.scan`, or the store has another size.
    """
    if pixels is not None and pixels.image_size != image_size:
        raise checks.error("pixels", expected=f"a store of {image_size} px", received=f"{pixels.image_size} px")
    if isinstance(folder, Scan):
        found = folder
    else:
        found = scan(folder, pattern=pattern)
        for note in found.notes:
            warnings.warn(note, stacklevel=2)
        if found.bad:
            listed = "\n".join(f"  {bad.path}: {bad.reason}" for bad in found.bad)
            warnings.warn(f"{len(found.bad)} images cannot be used and are left out:\n{listed}", stacklevel=2)
    return Images(
        np.array([str(found.folder / path) for path in found.paths], object),
        np.arange(len(found.paths)),
        labels=found.labels,
        class_names=found.class_names,
        image_size=image_size,
        batch_size=batch_size,
        pixel_hashes=np.array(found.pixel_hashes),
        file_hashes=np.array(found.file_hashes),
        names=np.array(found.paths, object),
        pixels=pixels,
    )


def from_csv(path: str | Path, *, image_size: int, batch_size: int = 32) -> Images:
    """Reads the usable images that a CSV file names.

    Args:
        path: A file with a header and a column of image files (`path`, `file`, `filename` or `image`), relative to its
            folder, and one of classes (`label` or `class`). A column `part` is for `kv.data.scan` and the commands.
        image_size: Height and width in pixels.
        batch_size: Images in a batch.

    Raises:
        kvision.UserError: If the file or all of its images cannot be used.
    """
    return from_folder(path, image_size=image_size, batch_size=batch_size)


def from_arrays(
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
            "images",
            expected="uint8 (N, H, W, 3) or (N, H, W)",
            received=f"{images.dtype} {images.shape}",
            hint=""
            if images.dtype == np.uint8
            else "Convert values in [0, 1] by (255 * images).round().astype('uint8')",
        )
    labels = np.zeros(len(images), "int32") if labels is None else np.asarray(labels, "int32").reshape(-1)
    if len(labels) != len(images):
        raise checks.error("labels", expected=f"{len(images)}, one an image", received=len(labels))
    numbers = [str(i) for i in range(int(labels.max(initial=0)) + 1)]
    class_names = names_of_classes.check("class_names", class_names or numbers)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(class_names):
        raise checks.error("labels", expected=f"0 to {len(class_names) - 1}", received=(labels.min(), labels.max()))
    pixel_hashes = np.array([pixel_hash(_rgb(image, 2)) for image in images])
    return Images(
        images,
        np.arange(len(images)),
        labels=labels,
        class_names=class_names,
        image_size=image_size,
        batch_size=batch_size,
        pixel_hashes=pixel_hashes,
        file_hashes=pixel_hashes,
        names=np.array([str(i) for i in range(len(images))], object),
    )
