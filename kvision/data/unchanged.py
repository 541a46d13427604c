"""Reads a file, and checks that it has not changed since it was first read."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kvision import checks

__all__ = ["read_unchanged"]

T = TypeVar("T")


def read_unchanged(path: Path, file_hash: str, decode: Callable[[bytes], T]) -> T:
    """Reads and decodes a file that must not have changed.

    Args:
        path: The file.
        file_hash: SHA-256 of the expected bytes.
        decode: A function that decodes the bytes.

    Returns:
        The result of `decode`.

    Raises:
        UserError: If the file is missing, or if its bytes do not have the hash `file_hash`.
    """
    try:
        data = path.read_bytes()
        same = hashlib.sha256(data).hexdigest() == file_hash
        problem = "" if same else "it holds other bytes"
        if same:
            return decode(data)
    except (OSError, ValueError) as reason:
        problem = str(getattr(reason, "strerror", None) or reason)
    raise checks.UserError(f"{path} has changed since it was read first: {problem}. Read the folder again.")
