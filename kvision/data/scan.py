"""A folder of images, looked at once: which files are images, of which class, and which cannot be used."""

import csv
import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kvision import atomic, checks
from kvision.data.class_layout import IMAGE_SUFFIXES, LAYOUT
from kvision.data.found import File, Found, by_pattern, in_class_folders, listed, walk
from kvision.data.pixel_store import PixelStore
from kvision.pixels import MAX_BYTES, BadImage, pillow
from kvision.progress import Bar

__all__ = ["BadFile", "Scan", "pixel_hash", "look", "scan"]

_SUBMITTED = 1024  # files at a time: what waits in a pool takes memory
_CACHE_VERSION = "kvision scan 4"  # raised when decoding changes


@dataclass(frozen=True)
class BadFile:
    """A file that is named like an image and cannot be used. path: relative to the folder. reason: one line.

    folder: where it differs from that of the run's data. beside: what belongs to it, an image's mask, as paths too.
    """

    path: str
    reason: str
    folder: str | None = None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Scan:
    """What lies in a folder. Sequences have one entry per usable image, in the order of the sorted paths.

    Attributes:
        folder: The folder.
        class_names: Names of the classes, sorted.
        paths: Relative paths with forward slashes.
        labels: `(N,)` int32 into `class_names`.
        file_hashes: SHA-256 of each file's bytes.
        pixel_hashes: SHA-256 of each image's decoded pixels, equal for exact duplicates.
        part: `(N,)` "train", "validation" or "test". None where the data names no parts.
        bad: Files that are named like images and cannot be used.
        notes: One sentence for each folder that is not read, and for images that lie outside of class folders.
    """

    folder: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    file_hashes: tuple[str, ...]
    pixel_hashes: tuple[str, ...]
    part: np.ndarray | None
    bad: tuple[BadFile, ...]
    notes: tuple[str, ...] = ()


def scan(
    folder: str | Path,
    *,
    labeled: bool = True,
    pattern: str | None = None,
    cache: str | Path | None = None,
    pixels: PixelStore | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Scan:
    """Reads every image below `folder` once: bytes hashed, header checked, pixels decoded as training will.

    The folder holds one sub-folder per class with images at any depth below it. Their suffix is .jpg, .jpeg, .png,
    .gif, .bmp or .webp in any case, and class names are the folders' names, sorted. Or the folder holds `train` with
    `test`, or with one of `val`, `valid` and `validation`, or with both, each laid out so with the same classes. With
    both, choices are made on the images for validation; one alone is for the test. Hidden files and folders,
    those that a system makes (`__MACOSX`, `@eaDir`) and other suffixes are passed over. A folder without images is no
    class, and a folder that is named like another part of a data set is refused; what is not read stands in `notes`.
    Links to folders, and links that lead out of the folder, are listed as bad.

    Args:
        folder: The folder, or a CSV file that names images in its folder, with their classes and parts.
        labeled: `False` takes the images at any depth, in whatever layout, as one class, "unlabeled".
        pattern: A regular expression that finds the class in the name of each image, in its group `label` or its first
            one: `"(.+)_[0-9]+"` finds "cat" in cat_12.jpg. Images then lie at any depth.
        cache: A CSV file. Files whose path, size and time of change are as before are not read again. A damaged or
            foreign cache is replaced.
        pixels: Keeps what is decoded, resized, for `folders`.
        workers: Number of threads. `None` takes the processor's count.
        progress: Whether a bar is shown on standard error.

    Returns:
        What lies in the folder.

    Raises:
        kvision.UserError: For a missing folder, another layout, fewer than two classes, two classes of one name, and a
            folder without an image that can be used.
    """
    folder, argument = Path(folder), "data" if labeled else "unlabeled"
    if pattern is not None and not folder.is_dir():
        expected = "a folder of images, whose names hold their classes"
        raise checks.error("pattern", problem="is for folders", expected=expected, received=str(folder))
    if folder.suffix == ".csv" and folder.is_file():
        found = listed(folder)
        folder = folder.parent
    elif not folder.is_dir():
        layout = f": {LAYOUT}" if labeled else " of images"
        raise checks.error(
            argument,
            problem="names no folder",
            expected=f"a folder{layout}",
            received=str(folder),
            hint="Look at the spelling; a path that does not begin with / starts at the current folder",
        )
    elif pattern is not None:
        found = by_pattern(folder, pattern)
    elif labeled:
        found = in_class_folders(folder)
    else:
        found = Found(list(walk(folder, "")), ("unlabeled",), {}, {})
    found.files.sort(key=lambda file: file.path)
    files = _examine(folder, found.files, cache, pixels, workers, progress)
    good, bad = [file for file in files if not file.reason], [file for file in files if file.reason]
    if not good:
        raise checks.error(
            argument,
            problem=f"has no image that can be used, out of {len(bad)}",
            expected=LAYOUT if labeled else f"images: {' '.join(sorted(IMAGE_SUFFIXES))}",
            received=str(folder),
            hint=f"{bad[0].path}: {bad[0].reason}" if bad else "Put images into it, or name another folder",
        )
    return Scan(
        folder=folder,
        class_names=found.class_names,
        paths=tuple(file.path for file in good),
        labels=np.array([found.labels[file.path] if found.labels else 0 for file in good], "int32"),
        file_hashes=tuple(file.file_hash for file in good),
        pixel_hashes=tuple(file.pixel_hash for file in good),
        part=np.array([found.parts[file.path] for file in good]) if found.parts else None,
        bad=tuple(BadFile(file.path, file.reason) for file in bad),
        notes=found.notes,
    )


def pixel_hash(image: np.ndarray) -> str:
    """SHA-256 of an image's shape and pixels, (H, W, 3) uint8."""
    found = hashlib.sha256(str(image.shape).encode())
    found.update(np.ascontiguousarray(image).data)
    return found.hexdigest()


def look(path: str | Path, pixels: PixelStore | None = None) -> tuple[str, str, str]:
    """Reads one file -> SHA-256 of its bytes, digest of its pixels, and "" or why it cannot be used.

    pixels: where they are kept, resized.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as reason:
        return "", "", str(reason.strerror or reason)
    file_hash = hashlib.sha256(data).hexdigest()
    try:
        image = pillow.decode(data)
    except BadImage as reason:
        return file_hash, "", str(reason)
    if pixels is not None:
        pixels.put(file_hash, pillow.resize(image, pixels.image_size))
    return file_hash, pixel_hash(image), ""


def _examine(folder: Path, found: list[File], cache, pixels, workers, progress: bool) -> list[File]:
    known = _read_cache(cache)
    todo = [file for file in found if not file.reason and (file.path, file.size, file.mtime) not in known]
    if pixels is not None:
        here = (known.get((file.path, file.size, file.mtime)) for file in found)
        pixels.reserve(len(found), {file.file_hash for file in here if file is not None and not file.reason})
    if todo:

        def examine(file: File) -> File:
            path = folder / file.path
            file_hash, of_pixels, reason = look(path) if pixels is None else look(path, pixels)
            return replace(file, file_hash=file_hash, pixel_hash=of_pixels, reason=reason)

        # Pillow and hashlib let go of the interpreter while they work
        with (
            ThreadPoolExecutor(workers or os.cpu_count()) as pool,
            Bar(desc="scan", total=len(todo), unit=" images", disable=not progress) as bar,
        ):
            for start in range(0, len(todo), _SUBMITTED):
                for file in pool.map(examine, todo[start : start + _SUBMITTED]):
                    known[file.path, file.size, file.mtime] = file
                    bar.update()
    files = [file if file.reason else known[file.path, file.size, file.mtime] for file in found]
    if todo and cache is not None:
        _write_cache(cache, [file for file in files if file.file_hash])  # what could not be read is tried again
    return files


def _read_cache(cache: str | Path | None) -> dict[tuple[str, int, int], File]:
    if cache is None or not Path(cache).is_file():
        return {}
    try:
        with Path(cache).open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            version, checksum, *rows = csv.reader(stream)
            if version != [_CACHE_VERSION] or checksum != [_checksum(rows)]:
                raise ValueError("it was not written to its end, or by another version")
            files = [File(row[0], int(row[1]), int(row[2]), *row[3:]) for row in rows]
    except (ValueError, IndexError, TypeError, csv.Error, OSError) as reason:
        text = f"The cached scan {Path(cache).name} is damaged ({reason}): the folder is scanned again."
        tqdm.write(text, file=sys.stderr)
        return {}
    return {(file.path, file.size, file.mtime): file for file in files}


def _write_cache(cache: str | Path, files: list[File]) -> None:
    rows = [[f.path, str(f.size), str(f.mtime), f.file_hash, f.pixel_hash, f.reason] for f in files]
    with (
        atomic.file(cache) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        csv.writer(stream).writerows([[_CACHE_VERSION], [_checksum(rows)], *rows])


def _checksum(rows: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
