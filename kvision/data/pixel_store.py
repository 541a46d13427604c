"""Decoded, resized images on disk, so that a file is decoded once and not in every pass."""

import os
import shutil
import sys
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kvision import checks

__all__ = ["PIXEL_PATH", "PixelStore"]

PIXEL_PATH = "kvision pixels 3"  # raised when decoding or resizing changes a value
_HEAD = 64  # bytes before the first row: pixel path and image size
_KEY, _SUM = 32, 4  # bytes before the pixels of a row: SHA-256 of the file it was made from, CRC-32 of key and pixels
_SHARE = 0.25  # of the free disk


class PixelStore:
    """Pixels (S, S, 3) uint8 in one file, each row found by the SHA-256 of the image file it was made from.

    path: the file; made, or made anew where it is foreign, or of another size or pixel path. image_size: S.
    Nothing in it is trusted: a row counts when its checksum holds for its key and its pixels, so that a store whose
    writer was killed goes on where it was, and a damaged row is reported and made again from the image. Where the disk
    is too full, that is said once and no more is stored. Safe in threads. Read by `os.pread`, not mapped: mapped pages
    count as the process's memory.
    """

    def __init__(self, path: str | Path, image_size: int):
        if image_size < 1:
            raise checks.error("image_size", expected="an integer of at least 1", received=image_size)
        self.path, self.image_size = Path(path), image_size
        self._row = _KEY + _SUM + 3 * image_size**2
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, self._file)
        self._writable = True
        self._rows = self._read_keys()
        self._end = max(self._rows.values(), default=-1) + 1
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def reserve(self, count: int, keep: set[str]) -> None:
        """Before `count` images are stored. keep: hashes still wanted; the rows of all others are used again.

        Where `count` images take more than a quarter of the free disk, nothing is stored from here on.
        """
        wanted, found = {bytes.fromhex(text) for text in keep}, dict(self._rows)
        for key in found.keys() - wanted:
            del self._rows[key]
        self._free = sorted(set(range(self._end)) - set(self._rows.values()), reverse=True)
        room = _SHARE * (shutil.disk_usage(self.path.parent).free + self._end * self._row)
        if count * self._row > room:
            size = f"{count * self._row / 1e9:.1f} GB"
            self._give_up(f"{count:,} images of {self.image_size} px take {size}, over a quarter of the free disk")

    def get(self, file_hash: str) -> np.ndarray | None:
        """The pixels made from the file with that SHA-256, read-only; None if they are not here, or damaged."""
        key = bytes.fromhex(file_hash)
        if (row := self._rows.get(key)) is None:
            return None
        data = memoryview(os.pread(self._file, self._row, _HEAD + row * self._row))
        found, checksum, pixels = data[:_KEY], data[_KEY : _KEY + _SUM], data[_KEY + _SUM :]
        if len(data) == self._row and found == key and checksum == _sum(key, pixels):
            return np.frombuffer(pixels, "uint8").reshape(self.image_size, self.image_size, 3)
        tqdm.write(f"A row of {self.path.name} is damaged: its image is decoded again.", file=sys.stderr)
        with self._lock:
            if self._rows.get(key) == row:
                del self._rows[key]
                self._free.append(row)
        return None

    def put(self, file_hash: str, pixels: np.ndarray) -> None:
        """Keeps (S, S, 3) uint8 pixels of the file with that SHA-256."""
        key = bytes.fromhex(file_hash)
        with self._lock:
            if not self._writable or key in self._rows:
                return
            row = self._free.pop() if self._free else self._end
            self._end = max(self._end, row + 1)
        data = np.ascontiguousarray(pixels).data.cast("B")
        try:
            written = os.pwritev(self._file, [key, _sum(key, data), data], _HEAD + row * self._row)
            if written != self._row:
                raise OSError(f"{written} of {self._row} bytes were written")
            self._rows[key] = row
        except OSError as reason:
            self._give_up(str(reason.strerror or reason))

    def _give_up(self, reason: str) -> None:
        with self._lock:
            told, self._writable = not self._writable, False
        if not told:
            tqdm.write(
                f"Decoded images are not stored ({reason}): the files are decoded in every pass.", file=sys.stderr
            )

    def _read_keys(self) -> dict[bytes, int]:
        """key -> row, as the file says; what it says is checked where a row is read."""
        head = f"{PIXEL_PATH} {self.image_size}\n".encode().ljust(_HEAD, b"\0")
        size = os.fstat(self._file).st_size
        if os.pread(self._file, _HEAD, 0) != head:
            if size:
                tqdm.write(f"{self.path.name} is damaged or of another version: it is made anew.", file=sys.stderr)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, head, 0)
            return {}
        count = (size - _HEAD) // self._row  # a row that was cut off is written over
        keys = [os.pread(self._file, _KEY, _HEAD + row * self._row) for row in range(count)]
        return {key: row for row, key in enumerate(keys) if any(key)}


def _sum(key: bytes, pixels) -> bytes:
    return zlib.crc32(pixels, zlib.crc32(key)).to_bytes(_SUM, "big")
