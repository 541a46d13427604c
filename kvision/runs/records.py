"""Records the finished parts of a run in the run's folder, so that the same command does not repeat them."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from kvision import atomic

if TYPE_CHECKING:
    from kvision.training import Resume

__all__ = ["Records"]

_CHECKPOINTS = "checkpoints"
_POLL_SECONDS = 0.5
_SHARE = 0.05  # largest share of the training time for writing checkpoints


class Records:
    """The records of the finished parts of a run. Each record is a JSON file in the run's folder.

    The record of a part is written after all files of the part. So a part without a record is not finished.

    Attributes:
        folder: The run's folder. If None, nothing is recorded. This is the case for a recipe called from Python.
        is_chief: Whether this process writes the records. The other workers read them.

    Args:
        folder: The run's folder, or None.
        again: Whether to start a finished run again. A run is finished if it has a report. The old report is renamed
            and gets a number. An unfinished run continues in any case.
        is_chief: Whether this process writes the records.
    """

    def __init__(self, folder: Path | None = None, *, again: bool = False, is_chief: bool = True):
        self.folder, self.is_chief = folder, is_chief
        if again and is_chief and folder is not None and (report := folder / "report.json").exists():
            number = 1 + len(list(folder.glob("report-*.json")))
            for record in folder.glob("*.json"):
                if record != report and not record.name.startswith("report-"):
                    record.unlink()
            shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)
            report.rename(folder / f"report-{number}.json")

    def resume(self, name: str) -> "Resume | None":
        """Returns the checkpoint folder and settings of the training `name`, or None if there is no run folder."""
        from kvision.training import Resume

        return None if self.folder is None else Resume(self.folder / _CHECKPOINTS / name, share=_SHARE)

    def path(self, name: str) -> Path | None:
        """Returns the path of a file in the run's folder, or None if there is no run folder."""
        return None if self.folder is None else self.folder / name

    def done(self, name: str, **kinds: type) -> dict | None:
        """Returns the record of a finished part, or None.

        Args:
            name: The part's name.
            **kinds: Keys that the record must have, with the types of their values. A record without these keys is
                ignored, and the part runs again.

        Returns:
            The record, or None.
        """
        path = self.path(f"{name}.json")
        if path is None or not path.exists():
            return None
        try:
            return _checked(json.loads(path.read_text(encoding="utf-8")), kinds)
        except (ValueError, RecursionError, OSError) as reason:
            tqdm.write(f"The record of {name} is damaged ({reason}). This part runs again.")
            return None

    def wait(self, name: str, **kinds: type) -> dict:
        """Waits until the chief has finished a part, and returns the record of this part."""
        told = False
        while (record := self.done(name, **kinds)) is None:
            if not told:
                tqdm.write(f"Waiting for the chief to finish {name} ...")
            told = True
            time.sleep(_POLL_SECONDS)
        return record

    def done_or_wait(self, name: str, **kinds: type) -> dict | None:
        """Calls `done` in the chief, and `wait` in every other worker. Returns the record."""
        return self.done(name, **kinds) if self.is_chief else self.wait(name, **kinds)

    def finish(self, name: str, record: dict) -> None:
        """Records that a part is finished."""
        path = self.path(f"{name}.json")
        if path is not None and self.is_chief:
            atomic.write_text(path, json.dumps(record))


def _checked(record: Any, kinds: dict[str, type]) -> dict:
    """Returns the record. Raises ValueError if a key is missing or its value has a wrong type."""
    if not isinstance(record, dict):
        raise ValueError("it is no record")
    if wrong := [key for key, kind in kinds.items() if not isinstance(record.get(key), kind)]:
        raise ValueError(f"it lacks {', '.join(wrong)}")
    return record
