"""Pictures of any sizes, in folders of any layout or in an array, without labels."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kvision import checks
from kvision.colorfulness import has_color
from kvision.data import parts
from kvision.data.found import File, walk
from kvision.data.hidden import hidden
from kvision.data.scan import BadFile, pixel_hash
from kvision.data.unchanged import read_unchanged
from kvision.pixels import MAX_BYTES, BadImage, pillow
from kvision.progress import Bar

__all__ = ["Pictures", "from_pictures", "pictures_of"]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures without labels. `kv.data.from_pictures` and `pictures_of` create them.

    Sequences have one entry per picture.

    Attributes:
        source: Paths of the files, or pixels `(m, height, width, 3)` uint8. Subsets of an array share it.
        rows: The place of each picture in `source`, `(n,)`.
        names: Relative paths of the files, or numbers as text.
        pixel_hashes: Hash of the decoded pixels of each picture. Exact copies have equal hashes.
        file_hashes: SHA-256 of the bytes of each file, or hash of the pixels.
        sizes: (height, width) of each picture.
        part: `(n,)` "train", "validation" or "test". None if the folder has no parts.
        bad: Bad images, with the reasons.
        notes: Sentences about what was left out.
        longest_side: Longest side in pixels. `example` makes larger pictures smaller. If None, all pictures keep their
            size.
    """

    source: tuple[Path, ...] | np.ndarray
    rows: np.ndarray
    names: tuple[str, ...]
    pixel_hashes: tuple[str, ...]
    file_hashes: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    part: np.ndarray | None
    bad: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()
    longest_side: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """A hash that changes with any picture, with their order and with `longest_side`."""
        return hashlib.sha256(repr([self.file_hashes, self.longest_side]).encode()).hexdigest()

    def subset(self, indices: Sequence[int] | np.ndarray) -> "Pictures":
        """Returns the pictures at `indices`, in that order. Nothing is copied."""
        fields = ("names", "pixel_hashes", "file_hashes", "sizes")
        chosen = {name: tuple(getattr(self, name)[i] for i in indices) for name in fields}
        part = None if self.part is None else self.part[list(indices)]
        return replace(self, **chosen, rows=self.rows[list(indices)], part=part)

    def some(self, count: int, *, seed: int = 0) -> "Pictures":
        """Returns `count` random pictures in their order, chosen by `seed`, or all pictures if there are not more."""
        if count >= len(self):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def path(self, index: int) -> str | None:
        """Returns the path of the file of a picture, or None if the pictures are an array."""
        return None if isinstance(self.source, np.ndarray) else str(self.source[self.rows[index]])

    def original(self, index: int) -> np.ndarray:
        """Reads a picture in its own size.

        Args:
            index: Place in this dataset.

        Returns:
            The picture `(height, width, 3)` uint8.

        Raises:
            UserError: If the file has changed since it was first read.
        """
        if isinstance(self.source, np.ndarray):
            return self.source[self.rows[index]]
        return read_unchanged(self.source[self.rows[index]], self.file_hashes[index], pillow.decode)

    def example(self, index: int) -> tuple[np.ndarray, None]:
        """Returns a picture `(height, width, 3)` uint8, made smaller if a side is longer than `longest_side`."""
        return pillow.fit(self.original(index), self.longest_side), None


def from_pictures(
    folder: str | Path, *, longest_side: int | None = None, progress: bool = True, argument: str = "folder"
) -> Pictures:
    """Reads every picture of a folder once, at any depth and in any layout, and leaves out pictures without color.

    If the folder contains `train` and at least one of `val` (or `valid`, `validation`) and `test`, these are parts, and
    files outside of them are not read. Pictures without color are left out, because a network cannot learn colors from
    them. So the masks of a segmentation dataset may be in the folder too, if they are gray.

    Args:
        folder: The folder.
        longest_side: Longest side of the pictures in pixels. If None, all pictures keep their size.
        progress: Whether to show a progress bar on standard error.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The pictures in color.

    Raises:
        UserError: If there is no such folder, or it has no picture in color.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("red", "gray"):
        ...     Image.new("RGB", (8, 8), name).save(folder / f"{name}.png")
        >>> kv.data.from_pictures(folder, progress=False).names
        ('red.png',)
    """
    checks.positive({"longest_side": longest_side})
    folder = Path(folder)
    if not folder.is_dir():
        raise checks.UserError(argument, problem="names no folder", expected="a folder", received=str(folder))
    inner = [path.name for path in folder.iterdir() if path.is_dir() and not hidden(path.name)]
    sides = parts.folders(inner, argument=argument)
    files = [(part, file) for part, name in (sides or {"": ""}).items() for file in walk(folder, name)]
    files.sort(key=lambda one: one[1].path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda one: _looked_at(folder, one[1]), files)
        outcomes = list(Bar(found, "scan", len(files), unit=" images", disable=not progress))
    pairs = list(zip(files, outcomes, strict=True))
    good = [(part, file.path, one) for (part, file), one in pairs if isinstance(one, tuple)]
    bad = tuple(BadFile(file.path, one) for (_, file), one in pairs if isinstance(one, str))
    without = [file.path for (_, file), one in pairs if one is None]
    if not good:
        raise checks.UserError(
            argument,
            problem="has no picture in color",
            expected="JPEG, PNG, GIF, BMP or WebP files in color",
            received=f"{folder}, with {len(without)} gray pictures and {len(bad)} bad files",
        )
    notes = [f"{len(without)} pictures without color are left out, such as {without[0]}"] if without else []
    return Pictures(
        source=tuple(folder / path for _, path, _ in good),
        rows=np.arange(len(good)),
        names=tuple(path for _, path, _ in good),
        pixel_hashes=tuple(one[0] for *_, one in good),
        file_hashes=tuple(one[1] for *_, one in good),
        sizes=tuple(one[2] for *_, one in good),
        part=np.array([part for part, *_ in good]) if sides else None,
        bad=bad,
        notes=tuple(notes),
        longest_side=longest_side,
    )


def pictures_of(images: np.ndarray, *, argument: str = "images") -> Pictures:
    """Creates a dataset from an array of pictures, without the pictures that have no color.

    Args:
        images: `(n, height, width, 3)` uint8.
        argument: Name of the argument with the pictures, for errors.

    Returns:
        The pictures in color.

    Raises:
        UserError: If the array has a wrong shape or type, or no picture has color.

    Example:
        >>> images = np.zeros((2, 8, 8, 3), "uint8")
        >>> images[1, ..., 0] = 200
        >>> kv.data.pictures_of(images).names
        ('1',)
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise checks.UserError(
            argument, expected="pictures in color, uint8 (N, H, W, 3)", received=f"{images.dtype} {images.shape}"
        )
    rows = np.array([i for i, image in enumerate(images) if has_color(image)], int)
    if not len(rows):
        raise checks.UserError(argument, problem="have no color", expected="pictures in color", received=len(images))
    hashes = tuple(pixel_hash(images[i]) for i in rows)
    left = len(images) - len(rows)
    return Pictures(
        source=images,
        rows=rows,
        names=tuple(str(i) for i in rows),
        pixel_hashes=hashes,
        file_hashes=hashes,
        sizes=((images.shape[1], images.shape[2]),) * len(rows),
        part=None,
        notes=(f"{left} pictures without color are left out",) if left else (),
    )


def _looked_at(folder: Path, file: File) -> tuple | str | None:
    """Returns pixel hash, file hash and size; or the reason why the file is bad; or None for a gray picture."""
    if file.reason:
        return file.reason
    try:
        with (folder / file.path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)  # a longer file is refused when its header is read
        image = pillow.decode(data)
    except (OSError, BadImage) as reason:
        return str(getattr(reason, "strerror", None) or reason)
    if not has_color(image):
        return None
    return pixel_hash(image), hashlib.sha256(data).hexdigest(), image.shape[:2]
