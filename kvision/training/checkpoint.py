"""Files that hold a training: written whole or not at all, the last few kept, read only if their checksums hold."""

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

_RECORD = "record"  # the member that holds everything that is no array, as JSON
_NAME = re.compile(r"\d{3}-\d{6}-\d{8}\.npz")


class Checkpoints:
    """The checkpoints of one training in `folder`, the newest `keep` of them; each file an `.npz` whose members have
    checksums. A file appears by rename after it was synced, so that a kill leaves the old ones or also the new one.
    """

    def __init__(self, folder: str | Path, *, keep: int = 2):
        if keep < 1:
            raise checks.error("keep", expected="a count of at least 1", received=keep)
        self.folder, self.keep = Path(folder), keep

    def files(self) -> list[Path]:
        """Oldest first."""
        return sorted(path for path in self.folder.glob("*.npz") if _NAME.fullmatch(path.name))

    def path(self, position: Position) -> Path:
        return self.folder / f"{position.phase:03}-{position.epoch:06}-{position.step:08}.npz"

    def write(self, position: Position, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> Path:
        """Adds one, then drops the oldest beyond `keep`. record: JSON. UserError if it cannot be written: disk full."""
        path = self.path(position)
        for torn in self.folder.glob(".partial-*.npz"):  # by a process that was killed
            torn.unlink(missing_ok=True)
        record = {**record, "position": [position.phase, position.epoch, position.step]}
        try:
            with atomic.file(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **arrays, **{_RECORD: np.array(json.dumps(record))})
        except OSError as reason:
            last = self.files()[-1].name if self.files() else "its beginning"
            raise checks.error(
                "checkpoints",
                problem=f"could not be written: {reason.strerror or reason}",
                expected="room for one more file of this training",
                received=str(path),
                hint=f"Free some space, then the same command goes on from {last}",
            ) from reason
        files = self.files()
        kept = [file for file in files if file <= path][-self.keep :]  # later ones were found damaged
        for file in files:
            if file not in kept:
                file.unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[Position, dict[str, np.ndarray], dict[str, Any]] | None:
        """The newest that is whole; what is torn is named on standard error and passed over. None without any."""
        files = self.files()
        for path in reversed(files):
            try:
                arrays = npz.read(path, stored=True)
                record = json.loads(str(arrays.pop(_RECORD)))
                return Position(*record.pop("position")), arrays, record
            except (npz.BadArrays, KeyError, TypeError, ValueError) as reason:
                instead = "the training begins anew" if path == files[0] else "the one before is used"
                tqdm.write(f"The checkpoint {path} is damaged ({reason}): {instead}.", file=sys.stderr)
        return None

    def clear(self) -> None:
        """Removes them, once their training is of no more use."""
        for path in self.files():
            path.unlink(missing_ok=True)
