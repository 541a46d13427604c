"""A CSV file that names images, their classes and, if it likes, their parts."""

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
    """A row: a path as it is written, a class and a part, or None where the file sets no parts."""

    path: str
    label: str
    part: str | None


def read(path: Path) -> list[Listed]:
    """Reads all rows of a CSV file.

    Paths are relative to the CSV file's folder.

    Raises:
        kvision.UserError: If the file cannot be read, lacks a column, or a row has no class or an unknown part.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            names = {name.strip().lower(): name for name in reader.fieldnames or () if name}
            columns = [next((names[n] for n in known if n in names), None) for known in (_PATHS, _LABELS, _PARTS)]
            rows = [_row(row, columns, number) for number, row in enumerate(reader, 2)] if all(columns[:2]) else []
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        problem = f"cannot be read ({getattr(reason, 'strerror', None) or reason})"
        raise checks.error("data", problem=problem, expected="a CSV file in UTF-8", received=str(path)) from reason
    if not rows:
        received = f"the columns {', '.join(names) or '(none)'}" if not all(columns[:2]) else "no row"
        raise checks.error("data", problem=f"'{path.name}' lists no images", expected=_EXPECTED, received=received)
    return rows


def _row(row: dict, columns: list, number: int) -> Listed:
    path, label, part = (row.get(name) or "" if name else None for name in columns)
    known = {alias: name for name, aliases in parts.NAMES.items() for alias in aliases}
    if not path or not label or (part is not None and part.lower() not in known):
        raise checks.error(
            "data",
            problem=f"has a row that cannot be used, in line {number}",
            expected="a file, a class" + (f", and one of {', '.join(known)}" if part is not None else ""),
            received=[path, label, part],
        )
    return Listed(path, label, part and known[part.lower()])
