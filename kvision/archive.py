"""Opens zip files that may come from an untrusted source.

The size of the list of contents is checked before the list is read. A reader creates one object per entry, so a file of
500 MB with ten million empty entries would take gigabytes of memory. The list must be at the very end of the file,
where NumPy, Keras and TFLite Metadata put it.
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

_DIRECTORY = 1 << 20  # bytes: about ten thousand entries
_END, _LOCATOR, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")


class BadArchive(ValueError):
    """A file that is refused. The text of the error is the reason, as a phrase without a full stop."""


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip file as a context manager.

    Args:
        path: The file.

    Yields:
        The open file.

    Raises:
        BadArchive: If the file is missing, damaged or not a zip file. The error can also be raised later, while the
            caller reads from the file.
    """
    try:
        with Path(path).open("rb") as stream:
            _check_directory(stream)
            with zipfile.ZipFile(stream) as file:
                yield file
    except BadArchive:
        raise
    # zipfile raises RuntimeError for encrypted members and unknown methods.
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError) as reason:
        raise BadArchive(" ".join(str(reason).split()) or type(reason).__name__) from reason


def stored_member(file: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Finds a member that is not compressed.

    Args:
        file: The zip file.
        name: Name of the member.

    Returns:
        The member.

    Raises:
        BadArchive: If the file has no member or two members of that name, or if the member is compressed.
    """
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
        raise BadArchive("it is no zip file, or damaged")
    directory = _END.unpack(tail[-_END.size :])[5]
    before = tail[: -_END.size]
    if before[-_LOCATOR.size :][:4] == b"PK\6\7":  # files over 2 GB
        end64, at = before[: -_LOCATOR.size], _LOCATOR.unpack(before[-_LOCATOR.size :])[2]
        # Some readers follow the offset. Some readers look directly before the end record. Both must find the same
        # list.
        if len(end64) != _END64.size or end64[:4] != b"PK\6\6" or at != size - len(tail):
            raise BadArchive("it is damaged")
        directory = _END64.unpack(end64)[8]
    if directory > min(size, _DIRECTORY):
        raise BadArchive(f"its list of contents takes {directory:,} bytes")
