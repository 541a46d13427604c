"""Keeps the last few checkpoint files. They are complete, and are read only if their checksums are right."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kvision import atomic, checks, npz
from kvision.training.source import Position

__all__ = ["Checkpoints"]

_RECORD = "record"  # the member that contains the record, as JSON; the arrays are in separate members
_NAME = re.compile(r"\d{3}-\d{6}-\d{8}\.npz")


class Checkpoints:
    """The checkpoints of one training in a folder.

    Each checkpoint is an `.npz` file. Each member of the file has a checksum. A new file is synced and then renamed. So
    a killed process leaves either only the old files, or the old files and the complete new file.

    Args:
        folder: The folder. It is created if it does not exist.
        keep: Number of newest checkpoints that stay in the folder.

    Raises:
        UserError: If `keep` is below 1.
    """

    def __init__(self, folder: str | Path, *, keep: int = 2):
        if keep < 1:
            raise checks.UserError("keep", expected="a count of at least 1", received=keep)
        self.folder, self.keep = Path(folder), keep

    def files(self) -> list[Path]:
        """Returns the paths of the checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("*.npz") if _NAME.fullmatch(path.name))

    def path(self, position: Position) -> Path:
        """Returns the path of the checkpoint of a position."""
        return self.folder / f"{position.phase:03}-{position.epoch:06}-{position.step:08}.npz"

    def write(self, position: Position, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> Path:
        """Adds a checkpoint, then removes the oldest ones until `keep` checkpoints are left.

        Args:
            position: Where the training would continue.
            arrays: Arrays by name.
            record: The remaining state, in types that JSON can hold.

        Returns:
            The path of the file.

        Raises:
            UserError: If the file cannot be written, for example because the disk is full.
        """
        path = self.path(position)
        for torn in self.folder.glob(".partial-*.npz"):  # left by a process that was killed
            torn.unlink(missing_ok=True)
        record = {**record, "position": [position.phase, position.epoch, position.step]}
        try:
            with atomic.file(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **arrays, **{_RECORD: np.array(json.dumps(record))})
        except OSError as reason:
            last = self.files()[-1].name if self.files() else "its beginning"
            raise checks.UserError(
                "folder",
                problem=f"could not be written: {reason.strerror or reason}",
                expected="room for one more file of this training",
                received=str(path),
                hint=f"Free some space, then run the same command again: it continues from {last}",
            ) from reason
        files = self.files()
        kept = [file for file in files if file <= path][-self.keep :]  # Files after `path` are damaged.
        for file in files:
            if file not in kept:
                file.unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[Position, dict[str, np.ndarray], dict[str, Any]] | None:
        """Reads the newest checkpoint that is not damaged. Damaged files are skipped and listed on standard error.

        Returns:
            Position, arrays and record. None if there is no checkpoint.
        """
        files = self.files()
        for path in reversed(files):
            try:
                arrays = npz.read(path, stored=True)
                record = json.loads(str(arrays.pop(_RECORD)))
                return Position(*record.pop("position")), arrays, record
            except (npz.BadArrays, KeyError, TypeError, ValueError) as reason:
                instead = "the training starts again" if path == files[0] else "the one before is used"
                tqdm.write(f"The checkpoint {path} is damaged ({reason}): {instead}.", file=sys.stderr)
        return None

    def clear(self) -> None:
        """Removes all checkpoints."""
        for path in self.files():
            path.unlink(missing_ok=True)
