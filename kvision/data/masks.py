"""Images with masks, which contain one label per pixel."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.data.label_maps import IGNORE, LabelMap
from kvision.data.mask_layouts import LAYOUTS, Pair, pairs, unread
from kvision.data.scan import BadFile, pixel_hash
from kvision.data.unchanged import read_unchanged
from kvision.pixels import MAX_BYTES, BadImage, header, orientation, pillow
from kvision.progress import Bar

if TYPE_CHECKING:  # scanning a folder does not wait for Keras
    import keras

__all__ = ["MaskedImages", "from_masks"]

_LOSSLESS = ("PNG", "BMP", "GIF")


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """Images and masks of one folder. Each file is read when it is needed. `kv.data.from_masks` creates them.

    Sequences have one entry per pair of an image and its mask.

    Attributes:
        folder: The folder.
        label_map: The classes, and the numbers for these classes in the masks.
        names: Relative paths of the images.
        images: Paths of the images.
        masks: Paths of the masks.
        pixel_hashes: Hash of the decoded pixels of each image. Exact copies have equal hashes.
        file_hashes: SHA-256 of the bytes of each image, and SHA-256 of the bytes of its mask.
        sizes: (height, width) of each image.
        present: The classes that occur in each mask.
        turned: Whether the EXIF orientation rotates or mirrors each image.
        part: `(n,)` "train", "validation" or "test". None if the folder has no parts.
        bad: Bad images, with the reasons.
        notes: Sentences about folders that are not read.
        longest_side: Longest side in pixels. `example` makes larger images and their masks smaller. If None, all images
            keep their size.
    """

    folder: Path
    label_map: LabelMap
    names: tuple[str, ...]
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    pixel_hashes: tuple[str, ...]
    file_hashes: tuple[tuple[str, str], ...]
    sizes: tuple[tuple[int, int], ...]
    present: tuple[tuple[int, ...], ...]
    turned: tuple[bool, ...]
    part: np.ndarray | None
    bad: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()
    longest_side: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.label_map.names

    @property
    def fingerprint(self) -> str:
        """A hash that changes with any image or mask, with their order, with the classes and with `longest_side`."""
        text = repr([self.file_hashes, self.label_map.names, sorted(self.label_map.ids.items()), self.longest_side])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: Sequence[int] | np.ndarray) -> "MaskedImages":
        """Returns the pairs at `indices`, in that order. No file is copied."""

        def chosen(values):
            return tuple(values[i] for i in indices)

        names = ("names", "images", "masks", "pixel_hashes", "file_hashes", "sizes", "present", "turned")
        parts = {name: chosen(getattr(self, name)) for name in names}
        part = None if self.part is None else self.part[list(indices)]
        return replace(self, **parts, part=part)

    def some(self, count: int, *, seed: int = 0) -> "MaskedImages":
        """Returns `count` random pairs in their order, chosen by `seed`, or all pairs if there are not more."""
        if count >= len(self):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def path(self, index: int) -> str:
        """Returns the path of the file of an image."""
        return str(self.images[index])

    def original(self, index: int) -> np.ndarray:
        """Reads an image in its own size.

        Args:
            index: Place of the pair in this dataset.

        Returns:
            The image `(height, width, 3)` uint8.

        Raises:
            UserError: If the file has changed since `kv.data.from_masks` read it.
        """
        return read_unchanged(self.images[index], self.file_hashes[index][0], pillow.decode)

    def mask(self, index: int) -> np.ndarray:
        """Reads the mask of an image in its own size.

        Args:
            index: Place of the pair in this dataset.

        Returns:
            Labels `(height, width)` uint8: 0 to K - 1, or 255 for pixels that do not count.

        Raises:
            UserError: If the file has changed since `kv.data.from_masks` read it.
        """
        return read_unchanged(
            self.masks[index], self.file_hashes[index][1], lambda data: self.label_map.classes(_numbers(data))
        )

    def example(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads an image and its mask, and makes both smaller if a side is longer than `longest_side`.

        Args:
            index: Place of the pair in this dataset.

        Returns:
            The image `(height, width, 3)` uint8 and its labels `(height, width)` uint8.
        """
        image, labels = self.original(index), self.mask(index)
        small = pillow.fit(image, self.longest_side)
        return small, pillow.fit_labels(labels, small.shape[:2])

    def stack(self, examples: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Returns a batch: images `(n, height, width, 3)` uint8, and labels `(n, height, width)` int32."""
        images, labels = zip(*examples, strict=True)
        return np.stack(images), np.stack(labels).astype("int32")

    def spec(self, height: int, width: int) -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
        """Returns a batch of this size as `keras.KerasTensor` objects; see `kv.data.Augmentable`."""
        import keras

        return keras.KerasTensor((None, height, width, 3), "uint8"), keras.KerasTensor((None, height, width), "int32")

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts pixels for `kv.segmentation.median_frequency`. Ignored pixels are not counted.

        Returns:
            Two arrays `(classes,)` int64: the number of pixels of each class, and the number of pixels of all images
            that contain the class.
        """
        own, whole = np.zeros((2, len(self.class_names)), "int64")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for labels in pool.map(self.mask, range(len(self))):
                found = np.bincount(labels.ravel(), minlength=256)[: len(own)]
                own += found
                whole += np.where(found > 0, found.sum(), 0)
        return own, whole


def from_masks(
    folder: str | Path,
    label_map: LabelMap,
    *,
    longest_side: int | None = None,
    progress: bool = True,
    argument: str = "folder",
) -> MaskedImages:
    """Reads every image and every mask of a folder once, and matches images with masks.

    The folder contains `images` and `masks` (or `labels`, `annotations`) with equal file names. Or it contains `train`
    and at least one of `val` and `test`, each with this layout. The layouts of CamVid (in SegNet's form), Pascal VOC
    and Cityscapes are also accepted.

    A mask is a PNG (or BMP, GIF) file with numbers or palette indices. A mask must have the same size as its image
    after the EXIF orientation is applied. `bad` lists images without a mask, masks without an image, pairs of different
    sizes, masks with numbers that are not in `label_map`, masks in colors, masks in JPEG (JPEG changes numbers), and
    files that cannot be decoded.

    Args:
        folder: The folder.
        label_map: The classes; see `kv.data.label_map`.
        longest_side: Longest side of training images in pixels. If None, all images keep their size.
        progress: Whether to show a progress bar on standard error.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The images with their masks.

    Raises:
        UserError: If the layout is unknown, if no pair can be used, or if `longest_side` is below 1.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, mode in {"images": "RGB", "masks": "L"}.items():
        ...     (folder / name).mkdir()
        ...     Image.new(mode, (8, 8)).save(folder / name / "1.png")
        >>> labels = kv.data.LabelMap(("ground", "tree"), {0: 0, 1: 1})
        >>> kv.data.from_masks(folder, labels, progress=False).names
        ('images/1.png',)
    """
    folder = Path(folder)
    if longest_side is not None and longest_side < 1:
        raise checks.UserError("longest_side", expected="a number of pixels, at least 1", received=longest_side)
    found = pairs(folder, argument=argument)

    def look(pair):
        try:
            if pair.image is None or pair.mask is None:
                raise BadImage("it has no image" if pair.image is None else "it has no mask")
            if pair.problem:
                raise BadImage(pair.problem)
            return _looked_at(pair.image, pair.mask, label_map)
        except (OSError, ValueError) as reason:
            return str(getattr(reason, "strerror", None) or reason)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bar = Bar(pool.map(look, found), "masks", len(found), unit=" images", disable=not progress)
        outcomes = list(zip(found, bar, strict=True))
    good = [(pair, outcome) for pair, outcome in outcomes if not isinstance(outcome, str)]
    bad = tuple(_bad(pair, outcome, folder) for pair, outcome in outcomes if isinstance(outcome, str))
    if not good:
        hint = f"{bad[0].path}: {bad[0].reason}" if bad else "Put images and masks into these folders"
        raise checks.UserError(
            argument, problem="has no image with a mask", expected=LAYOUTS, received=str(folder), hint=hint
        )
    part = [pair.part for pair, _ in good]
    return MaskedImages(
        folder=folder,
        label_map=label_map,
        names=tuple(pair.image.relative_to(folder).as_posix() for pair, _ in good),
        images=tuple(pair.image for pair, _ in good),
        masks=tuple(pair.mask for pair, _ in good),
        pixel_hashes=tuple(outcome[0] for _, outcome in good),
        file_hashes=tuple(outcome[1] for _, outcome in good),
        sizes=tuple(outcome[2] for _, outcome in good),
        present=tuple(outcome[3] for _, outcome in good),
        turned=tuple(outcome[4] for _, outcome in good),
        part=None if None in part else np.array(part),
        bad=bad,
        notes=(f"folders that are not read: {', '.join(others)}",) if (others := unread(folder, found)) else (),
        longest_side=longest_side,
    )


def _looked_at(image: Path, mask: Path, label_map: LabelMap) -> tuple:
    """Returns pixel hash, file hashes, size, classes in the mask, and whether the EXIF orientation turns the image."""
    data, of_mask = _bytes(image), _bytes(mask)
    pixels = pillow.decode(data)
    try:
        labels = label_map.classes(_numbers(of_mask))
    except ValueError as reason:
        raise ValueError(f"its mask {mask.name} cannot be used: {reason}") from reason
    if labels.shape != pixels.shape[:2]:
        turned = " (turned by its EXIF orientation)" if labels.shape == pixels.shape[1::-1] else ""
        raise ValueError(f"its mask has {labels.shape} pixels, the image {pixels.shape[:2]}{turned}")
    hashes = hashlib.sha256(data).hexdigest(), hashlib.sha256(of_mask).hexdigest()
    present = tuple(np.unique(labels[labels != IGNORE]).tolist())
    with header.lazy_open(data) as opened:
        turned = orientation.read(pillow.exif(opened)) != 1
    return pixel_hash(pixels), hashes, labels.shape, present, turned


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)  # a longer file is refused when its header is read


def _numbers(data: bytes) -> np.ndarray:
    """Returns the gray values or palette indices (H, W) uint8 of a mask file."""
    with header.lazy_open(data) as image:
        if image.format not in _LOSSLESS:
            raise BadImage(f"{image.format} does not keep numbers; masks are PNG files")
        if image.mode not in ("L", "P", "1"):
            raise BadImage(f"its mode is {image.mode}; a mask has one number of 8 bits a pixel (gray or palette)")
        try:
            numbers = np.asarray(image).astype("uint8")
            if image.format == "PNG" and image.mode == "L" and data[24] < 8:
                numbers = numbers // (255 // ((1 << data[24]) - 1))  # Pillow scales values of 2 and 4 bits to 8 bits
            return numbers
        except Exception as reason:  # a decoder may raise any exception on damaged bytes
            raise BadImage(f"its data are damaged ({header.first_line(reason)})") from reason


def _bad(pair: Pair, reason: str, folder: Path) -> BadFile:
    """Returns the entry of an unusable pair, with the name of its image, or of its mask if it has no image."""
    first, *beside = (path.relative_to(folder).as_posix() for path in (pair.image, pair.mask) if path is not None)
    return BadFile(first, reason, beside=tuple(beside))
