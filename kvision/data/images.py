"""Images with labels, from a folder, a CSV file or arrays."""

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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


@dataclass(eq=False, repr=False)
class Images:
    """Images of one size with labels.

    Do not call the constructor. `kv.data.from_folder`, `from_csv` and `from_arrays` create `Images`. `len()` is the
    number of images. Iterating gives NumPy batches (images, labels) in order: `(batch, size, size, 3)` uint8 and
    `(batch,)` int32. An image is decoded only when it is needed.

    Attributes:
        source: Paths of files as strings, or pixels `(m, height, width, 3)` or `(m, height, width)` uint8.
        rows: The place of each image in `source`, `(n,)`. Subsets share `source`.
        labels: Labels `(n,)` int32.
        class_names: Names of the classes.
        image_size: Height and width in pixels.
        batch_size: Number of images per batch.
        pixel_hashes: Hashes `(n,)` of the decoded pixels. Exact copies have equal hashes.
        file_hashes: SHA-256 `(n,)` of the bytes of the files, or of the pixels of arrays.
        names: Paths relative to the folder, or numbers as text, `(n,)`.
        pixels: A store of decoded pixels of files. If None, files are decoded in every pass.
    """

    source: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    image_size: int
    batch_size: int
    pixel_hashes: np.ndarray
    file_hashes: np.ndarray
    names: np.ndarray
    pixels: PixelStore | None = None

    def __post_init__(self):
        for argument, value in {"image_size": self.image_size, "batch_size": self.batch_size}.items():
            if value < 1:
                raise checks.UserError(argument, expected="an integer of at least 1", received=value)
        if len(self.rows) == 0:
            raise checks.UserError("The dataset is empty: it needs at least one image.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fingerprint(self) -> str:
        """A hash that changes with any image, the order, the size, and the method of decoding and resizing."""
        text = "\n".join([PIXEL_PATH, str(self.image_size), *self.file_hashes])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: np.ndarray) -> "Images":
        """Returns the images at `indices`, in that order. Neither files nor arrays are copied."""
        by_image = ("rows", "labels", "pixel_hashes", "file_hashes", "names")
        return replace(self, **{name: getattr(self, name)[indices] for name in by_image})

    def at_size(self, image_size: int) -> "Images":
        """Returns the same images at another size.

        Args:
            image_size: Height and width in pixels.

        Returns:
            The images. If the size is a different one, they have no store of decoded pixels.
        """
        return self if image_size == self.image_size else replace(self, image_size=image_size, pixels=None)

    def some(self, count: int, *, seed: int = 0) -> "Images":
        """Chooses about `count` images, balanced by class where possible.

        Args:
            count: Number of images. If there are fewer images, all images are returned. If there are more classes than
                `count`, one image is returned for each of `count` classes.
            seed: Seed of the choice.

        Returns:
            The images, in their order.
        """
        if len(self) <= count:
            return self
        chosen = sample(self.labels, max(1, count // len(np.unique(self.labels))), seed=seed)
        if len(chosen) > count:
            chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:count])
        return self.subset(chosen)

    def path(self, index: int) -> str | None:
        """Returns the path of the file of an image, or None if the images are an array."""
        return None if self.source.dtype == np.uint8 else str(self.source[self.rows[index]])

    def original(self, index: int) -> np.ndarray:
        """Returns an image in its own size, `(height, width, 3)` uint8."""
        path = self.path(index)
        return _rgb(self.source[self.rows[index]], 2) if path is None else pillow.decode(Path(path).read_bytes())

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        # A batch is decoded on all cores when it is needed, not earlier. On a CPU, decoding and the network slow each
        # other down if they run at the same time (Lite0 at 224 px on 2 cores: 49 images/s, and 86 images/s if they run
        # in turns).
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(self), self.batch_size):
                chosen = np.arange(start, min(start + self.batch_size, len(self)))
                images = self.take(chosen) if self.decoded else np.stack(list(pool.map(self.image, chosen)))
                yield images, self.labels[chosen].astype("int32")

    @property
    def decoded(self) -> bool:
        """Whether the images are an array of this size. Then a batch is one copy, and no image is resized."""
        return self.source.dtype == np.uint8 and self.source.shape[1:3] == (self.image_size, self.image_size)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Reads images in the form that training uses.

        Args:
            indices: Places `(n,)` in this dataset.

        Returns:
            Images `(n, size, size, 3)` uint8.

        Raises:
            UserError: If a file has changed since the scan. The message contains the path of the file.
        """
        if self.decoded:
            return _rgb(self.source[self.rows[indices]], 3)
        return np.stack([self.image(index) for index in indices])

    def image(self, index: int) -> np.ndarray:
        """Reads an image in the form that training uses.

        Args:
            index: Place in this dataset.

        Returns:
            The image `(size, size, 3)` uint8.

        Raises:
            UserError: If the file has changed since the scan. The message contains the path of the file.
        """
        found = self.source[self.rows[index]]
        if self.source.dtype == np.uint8:
            return pillow.resize(_rgb(found, 2), self.image_size)
        if self.pixels is None:
            return _read(found, self.file_hashes[index], self.image_size)
        if (image := self.pixels.get(self.file_hashes[index])) is None:
            image = _read(found, self.file_hashes[index], self.image_size)
            self.pixels.put(self.file_hashes[index], image)
        return image

    def example(self, index: int) -> tuple[np.ndarray, int]:
        """Returns an image in the form that training uses, `(size, size, 3)` uint8, and its label."""
        return self.image(index), int(self.labels[index])

    def __repr__(self) -> str:
        # Keras' own `fit` does not accept this object, and shows this text in its error.
        return (
            f"<{len(self)} images of {self.image_size} px, {len(self.class_names)} classes; Keras' own `fit` takes "
            ".batches(shuffle_seed=0) of them>"
        )

    def as_source(self, *, seed: int | None = None) -> "Source":
        """Returns `kv.data.batches(self, seed=seed).source`. `kv.training.fit` calls this method for images."""
        from kvision.data.batches import batches

        return batches(self, seed=seed).source

    def batches(
        self, *, shuffle_seed: int | None = None, first_epoch: int = 0, drop_remainder: bool = False
    ) -> "tf.data.Dataset":
        """Returns the batches of `kv.data.batches` as a `tf.data.Dataset` for Keras' own `fit`.

        Args:
            shuffle_seed: Seed of a new permutation of all images in each epoch; see `seed` of `kv.data.batches`.
            first_epoch: The epoch of the first pass, for a training that continues.
            drop_remainder: Whether to leave out a last, smaller batch.

        Returns:
            Batches (images, labels) of one epoch; see `kv.data.Batches.tf_dataset`.
        """
        from kvision.data.batches import batches

        return batches(self, seed=shuffle_seed, drop_remainder=drop_remainder).tf_dataset(first_epoch=first_epoch)


def _read(path: str, file_hash: str, image_size: int) -> np.ndarray:
    try:
        data = Path(path).read_bytes()
        image = pillow.load(data, image_size)
        if hashlib.sha256(data).hexdigest() != file_hash:  # this hash is the key of cached features and pixels
            raise BadImage("it holds other bytes")
        return image
    except (OSError, BadImage) as reason:
        problem = getattr(reason, "strerror", None) or reason
        raise checks.UserError(f"{path} has changed since it was scanned: {problem}. Scan the folder again.") from None


def _rgb(images: np.ndarray, axis: int) -> np.ndarray:
    """Repeats the channel of gray images three times. `axis` is the axis of channels, also if it is missing."""
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

    Args:
        folder: A folder, or the `Scan` that `kv.data.scan` returned for it. See `kv.data.scan` for the layout. If you
            pass a folder, warnings list bad files and folders that are not read. If you pass a `Scan`, they are in its
            `bad` and `notes`.
        image_size: Height and width in pixels. Images are resized bilinearly, and the aspect ratio is not kept.
        batch_size: Number of images per batch.
        pattern: A regular expression that finds the class in the names of files; see `kv.data.scan`.
        pixels: A store of the same image size. It keeps decoded images between passes and runs. If None, files are
            decoded in every pass.

    Returns:
        The images with their labels.

    Raises:
        UserError: If no image can be used (see `kv.data.scan`), or if the store has a different image size.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, color in {"cat": "red", "dog": "blue"}.items():
        ...     (folder / name).mkdir()
        ...     Image.new("RGB", (8, 8), color).save(folder / name / "1.png")
        >>> images = kv.data.from_folder(folder, image_size=32)
        >>> images.class_names, len(images)
        (('cat', 'dog'), 2)
    """
    if pixels is not None and pixels.image_size != image_size:
        raise checks.UserError("pixels", expected=f"a store of {image_size} px", received=f"{pixels.image_size} px")
    found = folder if isinstance(folder, Scan) else scan(folder, pattern=pattern)
    if found is not folder:
        _warn(found)
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
    """Reads the usable images that a CSV file lists.

    Args:
        path: A CSV file with a header and two columns: image files (`path`, `file`, `filename` or `image`), relative to
            the folder of the CSV file, and classes (`label` or `class`). A third column with parts (`part` or `split`)
            is used by `kv.data.scan` and the commands.
        image_size: Height and width in pixels.
        batch_size: Number of images per batch.

    Returns:
        The images with their labels. Warnings list files that cannot be used.

    Raises:
        UserError: If the CSV file cannot be used, or if none of its images can be used.
    """
    found = scan(path, argument="path")
    _warn(found)
    return from_folder(found, image_size=image_size, batch_size=batch_size)


def _warn(found: Scan) -> None:
    for note in found.notes:
        warnings.warn(note, stacklevel=3)
    if found.bad:
        listed = "\n".join(f"  {bad.path}: {bad.reason}" for bad in found.bad)
        warnings.warn(f"{len(found.bad)} images cannot be used and are left out:\n{listed}", stacklevel=3)


def from_arrays(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    class_names: Sequence[str] | None = None,
    image_size: int,
    batch_size: int = 32,
) -> Images:
    """Creates a dataset from an array of images. Images are resized batch by batch.

    Args:
        images: Images `(n, height, width, 3)` or, in grayscale, `(n, height, width)`, uint8 in [0, 255].
        labels: Labels `(n,)`, integers from 0. If None, all labels are 0, for images without labels.
        class_names: Names of the classes. Defaults to "0", "1" and so on.
        image_size: Height and width in pixels. Images are resized bilinearly, and the aspect ratio is not kept.
        batch_size: Number of images per batch.

    Returns:
        The images with their labels.

    Raises:
        UserError: If the images have a wrong shape or type, if labels or class names do not fit, or if a size is below
            1.

    Example:
        >>> images = kv.data.from_arrays(np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 0, 1]), image_size=32)
        >>> [batch.shape for batch, _ in images]
        [(4, 32, 32, 3)]
    """
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise checks.UserError(
            "images",
            expected="uint8 (N, H, W, 3) or (N, H, W)",
            received=f"{images.dtype} {images.shape}",
            hint="" if images.dtype == np.uint8 else "For values in [0, 1]: (255 * images).round().astype('uint8')",
        )
    labels = np.zeros(len(images), "int32") if labels is None else np.asarray(labels, "int32").reshape(-1)
    if len(labels) != len(images):
        raise checks.UserError("labels", expected=f"{len(images)} labels, one for each image", received=len(labels))
    numbers = [str(i) for i in range(int(labels.max(initial=0)) + 1)]
    class_names = names_of_classes.check("class_names", class_names or numbers)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(class_names):
        raise checks.UserError("labels", expected=f"0 to {len(class_names) - 1}", received=(labels.min(), labels.max()))
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
