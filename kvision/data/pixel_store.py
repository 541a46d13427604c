"""Stores decoded and resized images on disk, so that a file is decoded only once and not in every pass."""

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

PIXEL_PATH = "kvision pixels 3"  # increase the number when decoding or resizing changes a value
_HEAD = 64  # number of bytes before the first row; they contain pixel path and image size
_KEY, _SUM = 32, 4  # numbers of bytes before the pixels of a row: SHA-256 of the image file, CRC-32 of key and pixels
_SHARE = 0.25  # largest share of the free disk space


class PixelStore:
    """Decoded and resized images in one file. The key of an image is the SHA-256 of its image file.

    Each row has a checksum. If the process that writes the store is killed, the store can be used again. A damaged row
    is reported, and its image is decoded again. If the disk is too full, this is reported once, and no more images are
    stored. Threads may share a store.

    Args:
        path: The file. It is created if it is missing. It is replaced if it is not a pixel store, if it has a different
            image size, or if it was written by a version of kvision that decodes differently.
        image_size: Height and width of the images in pixels.

    Raises:
        UserError: If `image_size` is below 1.
    """

    def __init__(self, path: str | Path, image_size: int):
        if image_size < 1:
            raise checks.UserError("image_size", expected="an integer of at least 1", received=image_size)
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
        """Prepares the store for the images of a dataset. Call it before `put`.

        If the images would take more than a quarter of the free disk space, no images are stored after this call.

        Args:
            count: Number of images.
            keep: Hashes of stored images that are still needed. The rows of all remaining images can be overwritten.
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
        """Reads an image.

        Args:
            file_hash: SHA-256 of the image file.

        Returns:
            The image `(image_size, image_size, 3)` uint8, read-only. None if the image is not stored or is damaged.
        """
        key = bytes.fromhex(file_hash)
        if (row := self._rows.get(key)) is None:
            return None
        # The file is not mapped into memory, because the pages would count as memory of the process.
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
        """Stores an image, if it is not stored yet.

        Args:
            file_hash: SHA-256 of the image file.
            pixels: The image `(image_size, image_size, 3)` uint8.
        """
        key = bytes.fromhex(file_hash)
        with self._lock:
            if not self._writable or key in self._rows:
                return
            row = self._free.pop() if self._free else self._end
            self._end = max(self._end, row + 1)
        data = np.ascontiguousarray(pixels).data.cast("B")
        try:
            written = os.pwritev(self._file, [key, _sum(key, data), data], _HEAD + row * self._row)
        except OSError as reason:
            self._give_up(str(reason.strerror or reason))
            return
        if written == self._row:
            self._rows[key] = row
        else:
            self._give_up(f"{written} of {self._row} bytes were written")

    def _give_up(self, reason: str) -> None:
        with self._lock:
            told, self._writable = not self._writable, False
        if not told:
            tqdm.write(
                f"Decoded images are not stored ({reason}): the files are decoded in every pass.", file=sys.stderr
            )

    def _read_keys(self) -> dict[bytes, int]:
        """Returns the row of each key. Checksums are checked when a row is read."""
        head = f"{PIXEL_PATH} {self.image_size}\n".encode().ljust(_HEAD, b"\0")
        size = os.fstat(self._file).st_size
        if os.pread(self._file, _HEAD, 0) != head:
            if size:
                tqdm.write(f"{self.path.name} is damaged or of another version: it is created again.", file=sys.stderr)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, head, 0)
            return {}
        count = (size - _HEAD) // self._row  # an incomplete last row will be overwritten
        keys = [os.pread(self._file, _KEY, _HEAD + row * self._row) for row in range(count)]
        return {key: row for row, key in enumerate(keys) if any(key)}


def _sum(key: bytes, pixels) -> bytes:
    return zlib.crc32(pixels, zlib.crc32(key)).to_bytes(_SUM, "big")
