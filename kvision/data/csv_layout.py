"""A CSV file that lists images, their classes and, optionally, their parts."""

import csv
from pathlib import Path
from typing import NamedTuple

from kvision import checks
from kvision.data import parts

__all__ = ["Listed", "read"]

_PATHS, _LABELS, _PARTS = ("path", "file", "filename", "image"), ("label", "class"), ("part", "split")
_EXPECTED = (
    f"a header with a column of files ({', '.join(_PATHS)}), one of classes ({', '.join(_LABELS)}) and, to set parts, "
    f"one of parts ({', '.join(_PARTS)}: train, validation, test)"
)


class Listed(NamedTuple):
    """One row of the CSV file.

    Attributes:
        path: The path of an image, as written in the file.
        label: The class name of the image.
        part: "train", "validation" or "test". None if the file has no column of parts.
    """

    path: str
    label: str
    part: str | None


def read(path: Path, *, argument: str = "path") -> list[Listed]:
    """Reads all rows of a CSV file.

    Args:
        path: The CSV file. Image paths in the file are relative to the folder of the file.
        argument: Name of the argument with the file, for errors.

    Returns:
        The rows, in order.

    Raises:
        UserError: If the file cannot be read, if a column is missing, or if a row has no class or an unknown part.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            names = {name.strip().lower(): name for name in reader.fieldnames or () if name}
            columns = [next((names[n] for n in known if n in names), None) for known in (_PATHS, _LABELS, _PARTS)]
            rows = (
                [_row(row, columns, number, argument) for number, row in enumerate(reader, 2)]
                if all(columns[:2])
                else []
            )
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        problem = f"cannot be read ({getattr(reason, 'strerror', None) or reason})"
        raise checks.UserError(
            argument, problem=problem, expected="a CSV file in UTF-8", received=str(path)
        ) from reason
    if not rows:
        received = f"the columns {', '.join(names) or '(none)'}" if not all(columns[:2]) else "no row"
        raise checks.UserError(
            argument, problem=f"'{path.name}' lists no images", expected=_EXPECTED, received=received
        )
    return rows


def _row(row: dict, columns: list, number: int, argument: str) -> Listed:
    path, label, part = (row.get(name) or "" if name else None for name in columns)
    known = {alias: name for name, aliases in parts.NAMES.items() for alias in aliases}
    if not path or not label or (part is not None and part.lower() not in known):
        raise checks.UserError(
            argument,
            problem=f"has a row that cannot be used, in line {number}",
            expected="a file, a class" + (f", and one of {', '.join(known)}" if part is not None else ""),
            received=[path, label, part],
        )
    return Listed(path, label, part and known[part.lower()])
