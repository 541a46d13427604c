"""Images with a label for each pixel: looked at once, then read one by one."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kvision import checks
from kvision.data.label_maps import IGNORE, LabelMap
from kvision.data.mask_layouts import LAYOUTS, Pair, pairs, unread
from kvision.data.scan import BadFile, pixel_hash
from kvision.pixels import MAX_BYTES, BadImage, header, orientation, pillow
from kvision.progress import Bar

__all__ = ["MaskedImages", "from_masks"]

_LOSSLESS = ("PNG", "BMP", "GIF")


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """Images and masks of one folder; `from_masks` makes them. Sequences have an entry for each pair.

    Attributes:
        folder: The folder.
        label_map: The classes, and the numbers in the masks that stand for them.
        names: Relative paths of the images.
        images: Paths of the images.
        masks: Paths of the masks.
        pixel_hashes: Hashes of the images' decoded pixels, equal for exact copies.
        file_hashes: SHA-256 of each image's bytes and of its mask's.
        sizes: (height, width) of each image.
        present: The classes that occur in each mask.
        turned: Whether EXIF data turn or mirror the image.
        part: `(n,)` "train", "validation" or "test". None where the folder names no parts.
        bad: Files that cannot be used, with the reasons.
        notes: One sentence for folders that are not read.
        longest_side: Pixels. Larger images, and their masks with them, are made smaller by `example`. None leaves
            all as they are.
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
        return self.label_map.names

    @property
    def fingerprint(self) -> str:
        """Changes with any image or mask, their order, the classes and the size."""
        text = repr([self.file_hashes, self.label_map.names, sorted(self.label_map.ids.items()), self.longest_side])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: Sequence[int] | np.ndarray) -> "MaskedImages":
        """The pairs at `indices`, in that order."""

        def chosen(values):
            return tuple(values[i] for i in indices)

        names = ("names", "images", "masks", "pixel_hashes", "file_hashes", "sizes", "present", "turned")
        parts = {name: chosen(getattr(self, name)) for name in names}
        part = None if self.part is None else self.part[list(indices)]
        return replace(self, **parts, part=part)

    def some(self, count: int, *, seed: int = 0) -> "MaskedImages":
        """Returns `count` random images in their order; all, if there are no more."""
        if count >= len(self):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def path(self, index: int) -> str:
        """The file of an image."""
        return str(self.images[index])

    def original(self, index: int) -> np.ndarray:
        """An image in its own size, (H, W, 3) uint8. UserError if the file has changed since it was looked at."""
        return self._read(self.images[index], self.file_hashes[index][0], pillow.decode)

    def mask(self, index: int) -> np.ndarray:
        """Its labels, (H, W) uint8: 0 ... K - 1, or 255, which does not count. UserError as `original`."""
        return self._read(
            self.masks[index], self.file_hashes[index][1], lambda data: self.label_map.classes(_numbers(data))
        )

    def example(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns an image as training sees it, `(h, w, 3)` uint8, and its labels `(h, w)`: no side is longer than
        `longest_side`."""
        image, labels = self.original(index), self.mask(index)
        small = pillow.fit(image, self.longest_side)
        return small, pillow.fit_labels(labels, small.shape[:2])

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of each class, (K,) int64, and the pixels of all images in which it occurs: what median-frequency
        weights are made of. Ignored pixels are counted nowhere."""
        own, whole = np.zeros((2, len(self.class_names)), "int64")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for labels in pool.map(self.mask, range(len(self))):
                found = np.bincount(labels.ravel(), minlength=256)[: len(own)]
                own += found
                whole += np.where(found > 0, found.sum(), 0)
        return own, whole

    @staticmethod
    def _read(path: Path, file_hash: str, decode):
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != file_hash:
                raise BadImage("it holds other bytes")
            return decode(data)
        except (OSError, ValueError) as reason:
            raise checks.error(
                "data",
                problem=f"has changed since it was looked at: {getattr(reason, 'strerror', None) or reason}",
                expected="the files as they were",
                received=str(path),
                hint="Read the folder again",
            ) from None


def from_masks(
    folder: str | Path, label_map: LabelMap, *, longest_side: int | None = None, progress: bool = True
) -> MaskedImages:
    """Reads every image and mask below `folder` once, and keeps those that belong together.

    Layouts: `images` and `masks` (or `labels`, `annotations`) with equal file names; `train` and `val` (or `test`) laid
    out so, as CamVid in SegNet's form; Pascal VOC; Cityscapes. A mask is a PNG (or BMP, GIF) of numbers or of palette
    entries, as large as its image is shown, that is, turned as its EXIF data say. Listed in `bad`: an image without
    mask, a mask without image, another size, numbers of which `label_map` says nothing, a mask in colors or in JPEG,
    which blurs numbers, and what cannot be decoded.
    longest_side: see `MaskedImages`. progress: a bar on standard error.
    Raises UserError for another layout, and if nothing can be used.
    """
    folder = Path(folder)
    if longest_side is not None and longest_side < 1:
        raise checks.error("longest_side", expected="pixels, at least 1", received=longest_side)
    found = pairs(folder)

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
        raise checks.error(
            "data", problem="has no image with a mask", expected=LAYOUTS, received=str(folder), hint=hint
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
    """-> pixel hash, file hashes, size, classes that occur, whether EXIF turns the image."""
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
    turned = orientation.read(header.lazy_open(data)[1].tiff) != 1
    return pixel_hash(pixels), hashes, labels.shape, present, turned


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)  # one too many is refused by its header


def _numbers(data: bytes) -> np.ndarray:
    """(H, W) uint8 of a mask's file: gray values or palette entries, not colors."""
    image, _ = header.lazy_open(data)
    with image:
        if image.format not in _LOSSLESS:
            raise BadImage(f"{image.format} does not keep numbers; masks are PNG files")
        if image.mode not in ("L", "P", "1"):
            raise BadImage(f"it is in {image.mode}, and not one number of 8 bits a pixel (gray or palette)")
        try:
            numbers = np.asarray(image).astype("uint8")
            if image.format == "PNG" and image.mode == "L" and data[24] < 8:
                numbers = numbers // (255 // ((1 << data[24]) - 1))  # Pillow spreads 2 and 4 bits over 8
            return numbers
        except Exception as reason:  # a decoder facing damaged bytes raises what it likes
            raise BadImage(f"its data are damaged ({header.first_line(reason)})") from reason


def _bad(pair: Pair, reason: str, folder: Path) -> BadFile:
    """Under its image's name, where it has one."""
    first, *beside = (path.relative_to(folder).as_posix() for path in (pair.image, pair.mask) if path is not None)
    return BadFile(first, reason, beside=tuple(beside))
