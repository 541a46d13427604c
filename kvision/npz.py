"""Reads NumPy's `.npz` files from untrusted sources: sizes are checked before memory is allocated.

An `.npz` file is a zip file of `.npy` members. The header of a member and the list of contents of the zip file must
declare the same size. An uncompressed member cannot be larger than the file. The size of compressed members is limited.
"""

import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kvision import archive

__all__ = ["BadArrays", "read"]

_HEADER = 2_000  # characters; the headers that NumPy writes have 118 characters
_GROWTH, _FREE = 100, 256 << 20  # photographs deflate 1.1 times, rendered digits 10 times, zeros 1,000 times


class BadArrays(archive.BadArchive):
    """A file that is refused. The text of the error is the reason, as a phrase without a full stop."""


def read(path: str | Path, *, names: Iterable[str] | None = None, stored: bool = False) -> dict[str, np.ndarray]:
    """Reads arrays of numbers, booleans and strings.

    Args:
        path: The file.
        names: Names of the arrays to read. `None` reads all.
        stored: Whether to refuse compressed members, which `np.savez` does not write.

    Returns:
        The arrays by their names.

    Raises:
        BadArrays: If the file is missing, damaged, not an `.npz` file, or contains Python objects. Also if a name is
            missing or occurs twice, or if an array is larger than its member or than the memory. No memory is allocated
            before these checks.
    """
    try:
        size = Path(path).stat().st_size
        with archive.opened(path) as file:
            members = _members(file, names)
            _check_sizes(list(members.values()), size, stored)
            return {name: _array(file, name, info) for name, info in members.items()}
    except (archive.BadArchive, OSError) as reason:
        raise BadArrays(str(reason)) from reason


def _members(file: zipfile.ZipFile, names: Iterable[str] | None) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        name = info.filename.removesuffix(".npy")
        if names is None and name == info.filename:
            raise BadArrays(f"it holds {name[:80]!r}, which is not an array")
        if name in found:
            raise BadArrays(f"it holds {name[:80]!r} twice")
        found[name] = info
    if names is None:
        return found
    if missing := [name for name in names if name not in found]:
        raise BadArrays(f"it lacks {', '.join(missing)} (it holds {', '.join(sorted(found))[:200] or 'nothing'})")
    return {name: found[name] for name in names}


def _check_sizes(members: list[zipfile.ZipInfo], size: int, stored: bool) -> None:
    for info in members:
        raw = info.compress_type == zipfile.ZIP_STORED
        if not raw and (stored or info.compress_type != zipfile.ZIP_DEFLATED):
            raise BadArrays(f"{info.filename[:80]!r} is compressed" + (", as kvision writes none" if stored else ""))
        if raw and info.file_size != info.compress_size:
            raise BadArrays(f"{info.filename[:80]!r} has two sizes")
    if sum(info.compress_size for info in members) > size:  # two members of a zip file may use the same bytes
        raise BadArrays(f"it lists {sum(info.compress_size for info in members):,} bytes in a file of {size:,}")
    total = sum(info.file_size for info in members)
    if total > max(_FREE, _GROWTH * size):
        raise BadArrays(
            f"it would grow from {size:,} to {total:,} bytes, more than {_GROWTH} times; if it is yours, write it with "
            "np.savez, uncompressed"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if total > memory:
        raise BadArrays(f"its arrays take {total:,} bytes, and this machine has {memory:,}")


def _array(file: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> np.ndarray:
    with file.open(info) as stream:
        if np.lib.format.read_magic(stream) != (
            1,
            0,
        ):  # later versions of the format are for headers over 64 KB and for field names that are not Latin-1
            raise BadArrays(f"{name!r} is of a version of the format that no plain array needs")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_HEADER)
        header = stream.tell()
    if dtype.hasobject:
        raise BadArrays(f"{name!r} holds Python objects, which are not loaded")
    if dtype.kind not in "biufcSU" or dtype.itemsize == 0:
        raise BadArrays(f"{name!r} is of the type {dtype}")
    # Python's integers do not overflow.
    if any(not 0 <= n < 1 << 40 for n in shape) or header + math.prod(shape) * dtype.itemsize != info.file_size:
        raise BadArrays(f"{name!r} declares the shape {shape} of {dtype}, which is not what it holds")
    with file.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=_HEADER)
