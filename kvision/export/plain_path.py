"""Makes paths that TensorFlow can use for a SavedModel."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["plain_path"]

_PATTERN = set("[]*?\\")


@contextlib.contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """Yields a path to an existing folder. TensorFlow can write to this path and read from it.

    TensorFlow treats the path of a SavedModel's variables as a pattern, so a folder `model[1]` matches nothing.
    TensorFlow also refuses paths that are not UTF-8. For such a folder, this function creates a temporary link with a
    plain name.

    Args:
        folder: An existing folder.

    Yields:
        The folder itself or the link. The link exists until the context ends.
    """
    name = str(folder.absolute())
    if name.isprintable() and not _PATTERN & set(name):  # Bytes that are not UTF-8 are not printable.
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place, "folder")
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link
