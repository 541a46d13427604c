"""Writes files and folders completely or not at all, even if the process is killed.

A file or folder is written under a temporary name beside the target. Then it is synced and renamed (POSIX rename).
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["file", "folder", "write_text"]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def file(path: str | Path) -> Iterator[Path]:
    """Writes a file through a temporary file in the same folder, as a context manager.

    Args:
        path: The file. Missing folders are created.

    Yields:
        The path of the temporary file, with the same suffix. On success the temporary file is renamed to `path`. On
        error it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text to a file.

    Bytes of file names that are not UTF-8 are written as escapes. A JSON reader turns these escapes back into the same
    string.

    Args:
        path: The file. Missing folders are created.
        text: The content of the file.
    """
    with file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def folder(path: str | Path | Callable[[], Path]) -> Iterator[Path]:
    """Writes a folder through a temporary folder beside it, as a context manager.

    Args:
        path: The folder, or a function that returns the folder. The folder must not exist. The function is called again
            at the end, until it returns a folder that no other process has written.

    Yields:
        The temporary folder to write to. On success it is renamed to `path`. On error it is removed.

    Raises:
        OSError: If the folder cannot be written, or if it already exists.
    """
    ask = path if callable(path) else None
    path = Path(path) if ask is None else ask()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield temporary
        for entry in temporary.rglob("*"):
            if entry.is_file():
                _sync(entry)
        temporary.chmod(0o755)  # mkdtemp gives 0o700, which a server that runs as a different user cannot read
        while True:
            path = path if ask is None else ask()
            try:
                temporary.rename(path)
                break
            except OSError as reason:
                if ask is None or reason.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
        _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
