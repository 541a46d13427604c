"""Writes that a kill cannot tear: a temporary name beside the target, sync, rename (platform: POSIX rename)."""

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
    """Yields a temporary path beside `path`, its name ending alike; on success it becomes `path`, on error it goes."""
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
    """Writes UTF-8 text; a kill leaves the old file or the new one.

    Bytes of a file name that are not UTF-8 become escapes such as `\\udce9`. In JSON this is the same string again.
    """
    with file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def folder(path: str | Path | Callable[[], Path]) -> Iterator[Path]:
    """Yields a new folder beside `path`; on success it becomes `path`, which must not exist, on error it is removed.

    A function that gives the path is asked again at the end, until it gives one that nobody else has taken.
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
        temporary.chmod(0o755)  # mkdtemp gives 0o700, which a server under another user could not read
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
