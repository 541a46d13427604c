"""Zip files from anyone: their list of contents is bounded before it is read, and whatever is wrong is one exception.

A reader builds an object of each entry, so that a file of 500 MB with ten million empty ones takes gigabytes. Here
the list must stand at the very end of the file, where NumPy, Keras and TFLite Metadata put it, and be small.
"""

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["BadArchive", "opened", "stored_member"]

_DIRECTORY = 1 << 20  # bytes: some ten thousand entries
_END, _LOCATOR, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")


class BadArchive(ValueError):
    """Why a file is not read, as a phrase without a full stop."""


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Yields the zip; raises BadArchive for a file that is absent, torn, or none, then or while it is read."""
    try:
        with Path(path).open("rb") as stream:
            _check_directory(stream)
            with zipfile.ZipFile(stream) as file:
                yield file
    except BadArchive:
        raise
    # RuntimeError: zipfile's for encrypted members and unknown methods
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError) as reason:
        raise BadArchive(" ".join(str(reason).split()) or type(reason).__name__) from reason


def stored_member(file: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The only member of that name; BadArchive if there is none, if there are two, or if it is compressed."""
    found = [info for info in file.infolist() if info.filename == name]
    if len(found) != 1:
        raise BadArchive(f"it holds {name!r} twice" if found else f"it lacks {name!r}")
    if found[0].compress_type != zipfile.ZIP_STORED or found[0].compress_size != found[0].file_size:
        raise BadArchive(f"{name!r} in it is compressed")
    return found[0]


def _check_directory(stream: BinaryIO) -> None:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _END64.size - _LOCATOR.size - _END.size))
    tail = stream.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        raise BadArchive("it is of another kind, or torn")
    directory = _END.unpack(tail[-_END.size :])[5]
    before = tail[: -_END.size]
    if before[-_LOCATOR.size :][:4] == b"PK\6\7":  # files over 2 GB
        end64, at = before[: -_LOCATOR.size], _LOCATOR.unpack(before[-_LOCATOR.size :])[2]
        # readers differ in whether they follow the offset: it must lead to where the others look
        if len(end64) != _END64.size or end64[:4] != b"PK\6\6" or at != size - len(tail):
            raise BadArchive("it is torn")
        directory = _END64.unpack(end64)[8]
    if directory > min(size, _DIRECTORY):
        raise BadArchive(f"its list of contents takes {directory:,} bytes")
