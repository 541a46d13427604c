"""Finds the files of a dataset, with class and part of each file, before the files are read."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kvision import checks, class_names
from kvision.data import class_layout, csv_layout
from kvision.data import parts as class_parts
from kvision.data.class_layout import named_image
from kvision.data.hidden import hidden

__all__ = ["File", "Found", "by_pattern", "in_class_folders", "listed", "walk"]


@dataclass(frozen=True, slots=True)
class File:
    """A file with the suffix of an image.

    Attributes:
        path: Path relative to the folder, with forward slashes.
        size: Size in bytes.
        mtime: Time of the last change in nanoseconds.
        file_hash: SHA-256 of the bytes, after the file was read.
        pixel_hash: SHA-256 of the decoded pixels, after the file was decoded.
        reason: The reason why the file cannot be used, or an empty string.
    """

    path: str
    size: int
    mtime: int
    file_hash: str = ""
    pixel_hash: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Found:
    """The files of a dataset before they are read.

    Attributes:
        files: The files.
        class_names: Names of the classes.
        labels: Dict from the path of each file to its class. Empty if all files are of one class.
        parts: Dict from the path of each file to its part. Empty if the dataset has no parts.
        notes: One sentence for each folder or file that is not read.
    """

    files: list[File]
    class_names: tuple[str, ...]
    labels: dict[str, int]
    parts: dict[str, str]
    notes: tuple[str, ...] = ()


def in_class_folders(folder: Path, *, argument: str) -> Found:
    """Finds images in one sub-folder per class, or in folders of parts that have one sub-folder per class."""
    layout = class_layout.read(folder, argument=argument)
    lying = {place: list(walk(folder, place)) for place in layout.places}
    names, notes = class_layout.classes(layout, [place for place, files in lying.items() if files])
    labels, found = {}, [file for files in lying.values() for file in files]
    for place, files in lying.items():
        if files:
            labels |= dict.fromkeys((file.path for file in files), names.index(place.rpartition("/")[2]))
    named = {side: part for side, part in layout.sides.items() if part is not None}
    parts = {file.path: part for file in found for side, part in named.items() if file.path.startswith(side)}
    return Found(found, names, labels, parts, notes)


def by_pattern(folder: Path, pattern: str, *, argument: str) -> Found:
    """Finds images at any depth, and finds the class in each file name with `pattern`."""
    try:
        compiled = re.compile(pattern)
    except re.error as reason:
        raise checks.UserError(
            "pattern", problem=f"cannot be read ({reason})", expected="a regular expression", received=pattern
        ) from reason
    files, classes = [], {}
    for file in walk(folder, ""):
        match = compiled.search(Path(file.path).name)
        groups = match and (match.groupdict().get("label") or (match.groups() or [None])[0])
        if groups:
            classes[file.path] = groups
        files.append(file if groups else replace(file, reason=f"no class is found in its name by {pattern}"))
    return _with_classes(files, classes, {}, argument)


def listed(path: Path, *, argument: str) -> Found:
    """Finds the images in a CSV file, with their classes and parts."""
    folder, files, classes, parts = path.parent, {}, {}, {}
    for row in csv_layout.read(path, argument=argument):
        place = os.path.relpath(folder.absolute() / row.path, folder.absolute())
        name = Path(place).as_posix()
        inside = not name.startswith("../") and (folder / place).resolve().is_relative_to(folder.resolve())
        file = _status(folder, folder / place) if inside else File(name, 0, 0, reason="it is not in the folder")
        if name in files:
            file = replace(file, reason="it is listed twice")
        files[name], classes[name] = file, row.label
        if row.part is not None:
            parts[name] = row.part
    spelled = class_parts.folders(set(parts.values()), argument=argument)
    if parts and not spelled:
        raise checks.UserError(
            argument,
            problem="has parts that cannot be used",
            expected="images of the part train, and of validation, test or both",
            received=sorted(set(parts.values())),
        )
    # If there is no test part, the validation part becomes the test part.
    role = {part: name for name, part in spelled.items()}
    parts = {name: role[part] for name, part in parts.items()}
    _check_parts(classes, parts, argument)
    return _with_classes(list(files.values()), classes, parts, argument)


def _check_parts(classes: dict[str, str], parts: dict[str, str], argument: str) -> None:
    """Raises `UserError` if a class is missing in one of the parts."""
    found = {part: {classes[name] for name in parts if parts[name] == part} for part in set(parts.values())}
    if apart := sorted(set().union(*found.values()) - set.intersection(*found.values())) if found else []:
        raise checks.UserError(
            argument,
            problem=f"has classes that lack images in one of the parts {', '.join(sorted(found))}",
            expected="images of each class in each part",
            received=apart[:10],
        )


def _with_classes(files: list[File], classes: dict[str, str], parts: dict[str, str], argument: str) -> Found:
    names = class_names.check(argument, sorted(set(classes.values())))
    if len(names) < 2:
        raise checks.UserError(
            argument, problem="has fewer than two classes", expected="two classes or more", received=list(names)
        )
    return Found(files, names, {path: names.index(name) for path, name in classes.items()}, parts)


def walk(folder: Path, place: str) -> Iterator[File]:
    """Yields every file with the suffix of an image, usable or not, at any depth of a folder.

    Args:
        folder: The folder of the dataset.
        place: The folder to search, relative to `folder`. Links to folders are not followed.

    Yields:
        The files. A link to a folder, or a folder that cannot be read, is yielded as a file with a reason.
    """
    closed: list[OSError] = []
    for where, inner, names in os.walk(folder / place, onerror=closed.append):
        inner[:] = [name for name in inner if not hidden(name)]
        for name in [*inner, *names]:
            path = Path(where, name)
            if name in inner and path.is_symlink():
                yield File(path.relative_to(folder).as_posix(), 0, 0, reason="it is a link to a folder")
            elif name not in inner and named_image(path):
                yield _status(folder, path)
    for reason in closed:
        path = Path(reason.filename).relative_to(folder).as_posix()
        yield File(path, 0, 0, reason=f"the folder cannot be read: {reason.strerror}")


def _status(folder: Path, path: Path) -> File:
    file = File(path.relative_to(folder).as_posix(), 0, 0)
    try:
        file.path.encode()
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            return replace(file, reason="it is a link to a file outside of the folder")
        status = path.stat()
    except UnicodeEncodeError:
        return File(file.path.encode(errors="backslashreplace").decode(), 0, 0, reason="its name is not UTF-8")
    except (OSError, RuntimeError) as reason:  # RuntimeError means that a link points to itself
        return replace(file, reason=str(getattr(reason, "strerror", None) or reason))
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait forever
        return replace(file, reason="it is not a regular file")
    return replace(file, size=status.st_size, mtime=status.st_mtime_ns)
