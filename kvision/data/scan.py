"""A folder of images, looked at once: which files are images, of which class, and which cannot be used."""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kvision import atomic, checks
from kvision.pixels import BadImage, graph, read_header

__all__ = ["BadFile", "Scan", "scan"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}
_HELD_OUT = ("test", "val", "valid", "validation")
_LAYOUT = "one sub-folder per class with images in it (or `train` and `test` folders laid out so)"
_CACHE_VERSION = "kvision scan 1"


@dataclass(frozen=True)
class BadFile:
    """A file that is named like an image and cannot be used. path: relative to the folder. reason: one line."""

    path: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What lies in a folder. Sequences have one entry per usable image, in the order of the sorted paths.

    paths: relative, with forward slashes. labels: (N,) int32 into class_names. file_hashes: SHA-256 of the bytes;
    digests: of the decoded pixels, equal for exact duplicates. held_out: (N,) bool, images of the `test` folder; None
    without one.
    """

    folder: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    file_hashes: tuple[str, ...]
    digests: tuple[str, ...]
    held_out: np.ndarray | None
    bad: tuple[BadFile, ...]


@dataclass(frozen=True)
class _File:
    path: str
    size: int
    mtime: int
    file_hash: str = ""
    digest: str = ""
    reason: str = ""


def scan(
    folder: str | Path, *, cache: str | Path | None = None, workers: int | None = None, progress: bool = True
) -> Scan:
    """Reads every image below `folder` once: bytes hashed, header checked, pixels decoded as training will.

    Layout: one sub-folder per class, images at any depth below it, suffix .jpg .jpeg .png .gif .bmp .webp in any case;
    class names are the folders' names, sorted. Or `train` and one of `test`, `val`, `valid`, `validation`, each laid
    out so. Hidden files and other suffixes are passed over; links that lead out of the folder are listed as bad.
    cache: a CSV file; entries whose path, size and time of change are as before are not read again. workers: threads,
    None takes the processor's count. progress: a bar on standard error.
    Raises UserError for a missing folder, another layout, fewer than two classes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise checks.error("data", problem="names no folder", expected=f"a folder: {_LAYOUT}", received=str(folder))
    splits = _split_folders(folder)
    found = list(_walk(folder))
    files = _examine(folder, found, cache, workers, progress)
    good = [file for file in files if not file.reason]
    depth = 1 if splits else 0
    names = [file.path.split("/")[depth] for file in good]
    class_names = tuple(sorted(set(names)))
    if len(class_names) < 2:
        raise checks.error(
            "data",
            problem=f"holds {len(files)} image files, {len(good)} of them usable, in {len(class_names)} classes",
            expected=f"at least two classes: {_LAYOUT}",
            received=str(folder),
            hint=f"The first that cannot be used: {bad[0]}" if (bad := [f for f in files if f.reason]) else "",
        )
    held_out = None
    if splits:
        held_out = np.array([file.path.split("/")[0] != splits[0] for file in good])
        if not held_out.any() or held_out.all():
            raise checks.error("data", problem="has an empty split", expected="images in both", received=str(folder))
    return Scan(
        folder=folder,
        class_names=class_names,
        paths=tuple(file.path for file in good),
        labels=np.array([class_names.index(name) for name in names], "int32"),
        file_hashes=tuple(file.file_hash for file in good),
        digests=tuple(file.digest for file in good),
        held_out=held_out,
        bad=tuple(BadFile(file.path, file.reason) for file in files if file.reason),
    )


def _split_folders(folder: Path) -> tuple[str, str] | None:
    names = {entry.name.lower(): entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."}
    if len(names) != 2 or "train" not in names:
        return None
    other = next((name for name in _HELD_OUT if name in names), None)
    return (names["train"], names[other]) if other else None


def _walk(folder: Path) -> Iterator[_File]:
    """Image files in class folders, by sorted path; not through links to folders."""
    for where, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if Path(where) == folder:
            continue
        for name in sorted(names):
            path = Path(where, name)
            if name.startswith(".") or path.suffix.lower() not in _SUFFIXES:
                continue
            relative = path.relative_to(folder).as_posix()
            try:
                if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                    yield _File(relative, 0, 0, reason="it is a link that leads out of the folder")
                    continue
                status = path.stat()
            except OSError as reason:
                yield _File(relative, 0, 0, reason=str(reason.strerror or reason))
                continue
            yield _File(relative, status.st_size, status.st_mtime_ns)


def _examine(folder: Path, found: list[_File], cache, workers, progress: bool) -> list[_File]:
    known = _read_cache(cache)
    todo = [file for file in found if not file.reason and (file.path, file.size, file.mtime) not in known]
    if todo:
        # TensorFlow and hashlib let go of the interpreter while they work
        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            results = pool.map(lambda file: _look(folder, file), todo)
            for file in tqdm(results, "scan", total=len(todo), unit=" images", disable=not progress):
                known[file.path, file.size, file.mtime] = file
    files = [file if file.reason else known[file.path, file.size, file.mtime] for file in found]
    if todo and cache is not None:
        _write_cache(cache, files)
    return files


def _look(folder: Path, file: _File) -> _File:
    import tensorflow as tf

    try:
        data = (folder / file.path).read_bytes()
        read_header(data)
        pixels = graph.decode(tf.constant(data)).numpy()
    except (OSError, BadImage, tf.errors.OpError) as reason:
        return _File(file.path, file.size, file.mtime, reason=_line(reason))
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return _File(file.path, file.size, file.mtime, hashlib.sha256(data).hexdigest(), digest.hexdigest())


def _line(reason: Exception) -> str:
    if isinstance(reason, OSError):
        return str(reason.strerror or reason)
    text = str(reason).split("}} ")[-1].split(" [Op:")[0].strip()  # TensorFlow: {{function_node ...}} text [Op:...]
    return text.splitlines()[0] if text else type(reason).__name__


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
        tqdm.write(f"The cached scan {Path(cache).name} is damaged ({reason}): the folder is scanned again.")
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
