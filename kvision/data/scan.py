"""Scans a folder of images. Finds the class of each image, and the files that cannot be used."""

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

_SUBMITTED = 1024  # number of files at a time, because work that waits in a pool takes memory
_CACHE_VERSION = "kvision scan 4"  # increase the number when decoding changes


@dataclass(frozen=True)
class BadFile:
    """A bad image: a file with the suffix of an image that cannot be used.

    Attributes:
        path: Path relative to the folder.
        reason: The reason why the file cannot be used, in one line.
        folder: The folder, if it is not the data folder of the run.
        beside: Paths of files that belong to this file, such as the mask of an image.
    """

    path: str
    reason: str
    folder: str | None = None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Scan:
    """The images of a folder. Sequences have one entry per usable image, in the order of the sorted paths.

    Attributes:
        folder: The folder.
        class_names: Names of the classes, sorted.
        paths: Relative paths with forward slashes.
        labels: `(N,)` int32 into `class_names`.
        file_hashes: SHA-256 of the bytes of each file.
        pixel_hashes: SHA-256 of the decoded pixels of each image. Exact copies have equal hashes.
        part: `(N,)` "train", "validation" or "test". None if the folder has no parts.
        bad: Files with the suffix of an image that cannot be used.
        notes: One sentence per folder that is not read, and one about images outside class folders.
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
    argument: str = "folder",
) -> Scan:
    """Reads every image in a folder once. Hashes its bytes, and decodes it in the same way as training.

    The folder contains one sub-folder per class. The name of the sub-folder is the class name, and its images can be at
    any depth. The suffix of an image is .jpg, .jpeg, .png, .gif, .bmp or .webp, in upper or lower case. Or the folder
    contains the folders `train`, `val` (or `valid`, `validation`) and `test`, each with the same class folders. `val`
    or `test` may be missing. If there are only `train` and `val`, `val` is the test part.

    Hidden files and folders, folders that an operating system creates (`__MACOSX`, `@eaDir`), and files with a
    different suffix are skipped. `notes` describes folders that are not read, such as a folder without images. Links to
    folders, and links to files outside the folder, are listed in `bad`.

    Args:
        folder: The folder, or a CSV file in the folder with the images, their classes and their parts; see
            `kv.data.from_csv`.
        labeled: Whether the images have classes. If False, all images at any depth and in any layout get one class,
            "unlabeled".
        pattern: A regular expression that finds the class in the name of each image. The class is its group `label`, or
            its first group. For example, `"(.+)_[0-9]+"` finds "cat" in cat_12.jpg. If given, images can be at any
            depth of the folder.
        cache: A CSV file for the results. A file is not read again if its path, size and time of change are the same as
            before. A cache that is damaged or of a different version is replaced. If None, nothing is cached.
        pixels: A store for the decoded and resized images, for `kv.data.from_folder`. If None, nothing is stored.
        workers: Number of threads. Defaults to the number of processors.
        progress: Whether to show a progress bar on standard error.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The images, their classes and parts, and the bad images.

    Raises:
        UserError: If the folder does not exist, if its layout is unknown, if there are fewer than two classes, or if no
            image can be used. Also if a folder has the name of a part of a dataset, but it is not clear whether it is a
            part.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, color in {"cat": "red", "dog": "blue"}.items():
        ...     (folder / name).mkdir()
        ...     Image.new("RGB", (8, 8), color).save(folder / name / "1.png")
        >>> kv.data.scan(folder, progress=False).paths
        ('cat/1.png', 'dog/1.png')
    """
    folder = Path(folder)
    found = _found(folder, labeled, pattern, argument)
    folder = folder if folder.is_dir() else folder.parent
    found.files.sort(key=lambda file: file.path)
    files = _examine(folder, found.files, cache, pixels, workers, progress)
    good, bad = [file for file in files if not file.reason], [file for file in files if file.reason]
    if not good:
        raise checks.UserError(
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


def _found(folder: Path, labeled: bool, pattern: str | None, argument: str) -> Found:
    if pattern is not None and not folder.is_dir():
        expected = "a folder of images, whose names hold their classes"
        raise checks.UserError("pattern", problem="is for folders", expected=expected, received=str(folder))
    if folder.suffix == ".csv" and folder.is_file():
        return listed(folder, argument=argument)
    if not folder.is_dir():
        layout = f": {LAYOUT}" if labeled else " of images"
        raise checks.UserError(
            argument,
            problem="names no folder",
            expected=f"a folder{layout}",
            received=str(folder),
            hint="Look at the spelling; a path that does not begin with / starts at the current folder",
        )
    if pattern is not None:
        return by_pattern(folder, pattern, argument=argument)
    if labeled:
        return in_class_folders(folder, argument=argument)
    return Found(list(walk(folder, "")), ("unlabeled",), {}, {})


def pixel_hash(image: np.ndarray) -> str:
    """Returns the SHA-256 of the shape and the pixels of an image (H, W, 3) uint8."""
    found = hashlib.sha256(str(image.shape).encode())
    found.update(np.ascontiguousarray(image).data)
    return found.hexdigest()


def look(path: str | Path, pixels: PixelStore | None = None) -> tuple[str, str, str]:
    """Reads one file.

    Args:
        path: The file.
        pixels: A store for the resized image. If None, nothing is stored.

    Returns:
        File hash, pixel hash, and the reason why the file cannot be used (or an empty string).
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

        # Pillow and hashlib release the interpreter lock while they work, so threads make the scan faster.
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
        _write_cache(cache, [file for file in files if file.file_hash])  # the next scan tries unreadable files again
    return files


def _read_cache(cache: str | Path | None) -> dict[tuple[str, int, int], File]:
    if cache is None or not Path(cache).is_file():
        return {}
    try:
        with Path(cache).open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            version, checksum, *rows = csv.reader(stream)
            if version != [_CACHE_VERSION] or checksum != [_checksum(rows)]:
                raise ValueError("it is incomplete or of another version")
            files = [File(row[0], int(row[1]), int(row[2]), *row[3:]) for row in rows]
    except (ValueError, IndexError, TypeError, csv.Error, OSError) as reason:
        text = f"The cached scan {Path(cache).name} cannot be used ({reason}): the folder is scanned again."
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
