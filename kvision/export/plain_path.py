"""Paths that TensorFlow's SavedModel can use."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["plain_path"]

_PATTERN = set("[]*?\\")


@contextlib.contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """Yields a path of an existing folder that TensorFlow can write to and read from.

    TensorFlow takes the path of a SavedModel's variables for a pattern, so that `[1]` in it matches a file of another
    name, and it takes UTF-8 alone. Such a folder is reached through a link with a plain name while this is open.
    """
    name = str(folder.absolute())
    if name.isprintable() and not _PATTERN & set(name):  # bytes that are not UTF-8 are no printable characters
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place, "folder")
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link
