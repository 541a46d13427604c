"""A folder of images, looked at once: which files are images, of which class, and which cannot be used."""

import csv
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kvision import atomic, checks
from kvision.data import class_layout
from kvision.data.class_layout import IMAGE_SUFFIXES, LAYOUT, named_image
from kvision.data.hidden import hidden
from kvision.data.pixel_store import PixelStore
from kvision.pixels import MAX_BYTES, BadImage, pillow
from kvision.progress import Bar

__all__ = ["BadFile", "Scan", "digest", "look", "scan"]

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
        digests: SHA-256 of each image's decoded pixels, equal for exact duplicates.
        held_out: `(N,)` bool, true for images of the `test` folder. `None` without one.
        bad: Files that are named like images and cannot be used.
        notes: One sentence for each folder that is not read, and for images that lie outside of class folders.
    """

    folder: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    file_hashes: tuple[str, ...]
    digests: tuple[str, ...]
    held_out: np.ndarray | None
    bad: tuple[BadFile, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    size: int
    mtime: int
    file_hash: str = ""
    digest: str = ""
    reason: str = ""


def scan(
    folder: str | Path,
    *,
    labeled: bool = True,
    cache: str | Path | None = None,
    pixels: PixelStore | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Scan:
    """Reads every image below `folder` once: bytes hashed, header checked, pixels decoded as training will.

    The folder holds one sub-folder per class with images at any depth below it. Their suffix is .jpg, .jpeg, .png,
    .gif, .bmp or .webp in any case, and class names are the folders' names, sorted. Or the folder holds `train` and
    one of `test`, `val`, `valid` and `validation`, each laid out so with the same classes. Hidden files and folders,
    those that a system makes (`__MACOSX`, `@eaDir`) and other suffixes are passed over. A folder without images is no
    class, and a folder that is named like another part of a data set is refused; what is not read stands in `notes`.
    Links to folders, and links that lead out of the folder, are listed as bad.

    Args:
        folder: The folder.
        labeled: `False` takes the images at any depth, in whatever layout, as one class, "unlabeled".
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
    if not folder.is_dir():
        layout = f": {LAYOUT}" if labeled else " of images"
        raise checks.error(
            argument,
            problem="names no folder",
            expected=f"a folder{layout}",
            received=str(folder),
            hint="Look at the spelling; a path that does not begin with / starts at the current folder",
        )
    class_names, notes, labels = ("unlabeled",), (), {}
    if labeled:
        layout = class_layout.read(folder)
        lying = {place: list(_walk(folder, place)) for place in layout.places}
        class_names, notes = class_layout.classes(layout, [place for place, files in lying.items() if files])
        for place, files in lying.items():
            if files:
                labels |= dict.fromkeys((file.path for file in files), class_names.index(place.rpartition("/")[2]))
        sides, found = layout.sides, [file for files in lying.values() for file in files]
    else:
        sides, found = ("",), list(_walk(folder, ""))
    found.sort(key=lambda file: file.path)
    files = _examine(folder, found, cache, pixels, workers, progress)
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
        class_names=class_names,
        paths=tuple(file.path for file in good),
        labels=np.array([labels.get(file.path, 0) for file in good], "int32"),
        file_hashes=tuple(file.file_hash for file in good),
        digests=tuple(file.digest for file in good),
        held_out=np.array([not file.path.startswith(sides[0]) for file in good]) if len(sides) == 2 else None,
        bad=tuple(BadFile(file.path, file.reason) for file in bad),
        notes=notes,
    )


def digest(image: np.ndarray) -> str:
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
    return file_hash, digest(image), ""


def _walk(folder: Path, place: str) -> Iterator[_File]:
    """Everything in one class folder that is named like an image, usable or not; not through links to folders."""
    closed: list[OSError] = []
    for where, inner, names in os.walk(folder / place, onerror=closed.append):
        inner[:] = [name for name in inner if not hidden(name)]
        for name in [*inner, *names]:
            path = Path(where, name)
            if name in inner and path.is_symlink():
                yield _File(path.relative_to(folder).as_posix(), 0, 0, reason="it is a link to a folder")
            elif name not in inner and named_image(path):
                yield _status(folder, path)
    for reason in closed:
        path = Path(reason.filename).relative_to(folder).as_posix()
        yield _File(path, 0, 0, reason=f"the folder cannot be read: {reason.strerror}")


def _status(folder: Path, path: Path) -> _File:
    file = _File(path.relative_to(folder).as_posix(), 0, 0)
    try:
        file.path.encode()
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            return replace(file, reason="it is a link that leads out of the folder")
        status = path.stat()
    except UnicodeEncodeError:
        return _File(file.path.encode(errors="backslashreplace").decode(), 0, 0, reason="its name is not UTF-8")
    except (OSError, RuntimeError) as reason:  # RuntimeError: a link to itself
        return replace(file, reason=str(getattr(reason, "strerror", None) or reason))
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        return replace(file, reason="it is not a regular file")
    return replace(file, size=status.st_size, mtime=status.st_mtime_ns)


def _examine(folder: Path, found: list[_File], cache, pixels, workers, progress: bool) -> list[_File]:
    known = _read_cache(cache)
    todo = [file for file in found if not file.reason and (file.path, file.size, file.mtime) not in known]
    if pixels is not None:
        here = (known.get((file.path, file.size, file.mtime)) for file in found)
        pixels.reserve(len(found), {file.file_hash for file in here if file is not None and not file.reason})
    if todo:

        def examine(file: _File) -> _File:
            path = folder / file.path
            file_hash, of_pixels, reason = look(path) if pixels is None else look(path, pixels)
            return replace(file, file_hash=file_hash, digest=of_pixels, reason=reason)

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


def _read_cache(cache: str | Path | None) -> dict[tuple[str, int, int], _File]:
    if cache is None or not Path(cache).is_file():
        return {}
    try:
        with Path(cache).open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            version, checksum, *rows = csv.reader(stream)
            if version != [_CACHE_VERSION] or checksum != [_checksum(rows)]:
                raise ValueError("it was not written to its end, or by another version")
            files = [_File(row[0], int(row[1]), int(row[2]), *row[3:]) for row in rows]
    except (ValueError, IndexError, TypeError, csv.Error, OSError) as reason:
        text = f"The cached scan {Path(cache).name} is damaged ({reason}): the folder is scanned again."
        tqdm.write(text, file=sys.stderr)
        return {}
    return {(file.path, file.size, file.mtime): file for file in files}


def _write_cache(cache: str | Path, files: list[_File]) -> None:
    rows = [[f.path, str(f.size), str(f.mtime), f.file_hash, f.digest, f.reason] for f in files]
    with (
        atomic.file(cache) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        csv.writer(stream).writerows([[_CACHE_VERSION], [_checksum(rows)], *rows])


def _checksum(rows: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
