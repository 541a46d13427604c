"""The finished parts of a run, recorded in its folder so that the same command does not repeat them."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from kvision import atomic

if TYPE_CHECKING:
    from kvision.training import Resume

__all__ = ["Records"]

_CHECKPOINTS = "checkpoints"
_POLL_SECONDS = 0.5
_SHARE = 0.05  # of the training time that checkpoints may take


class Records:
    """The records of a run's finished parts, each a JSON file in the run's folder.

    A part writes its own files first and its record last: a part without a record is not finished.

    Attributes:
        folder: The run's folder. None, as for a recipe that is called from Python, keeps nothing.
        is_chief: Whether this process does the work and writes. Of several machines one does, and the others read.
    """

    def __init__(self, folder: Path | None = None, *, again: bool = False, is_chief: bool = True):
        """Opens a run's records.

        Args:
            folder: The run's folder, or None.
            again: Starts a finished run (one with a report) anew and keeps its report under a number. An unfinished
                run continues.
            is_chief: Whether this process does the work.
        """
        self.folder, self.is_chief = folder, is_chief
        if again and is_chief and folder is not None and (report := folder / "report.json").exists():
            number = 1 + len(list(folder.glob("report-*.json")))
            for record in folder.glob("*.json"):
                if record != report and not record.name.startswith("report-"):
                    record.unlink()
            shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)
            report.rename(folder / f"report-{number}.json")

    def resume(self, name: str) -> "Resume | None":
        """Returns where the training called `name` keeps its checkpoints, or None if nothing is kept."""
        from kvision.training import Resume

        return None if self.folder is None else Resume(self.folder / _CHECKPOINTS / name, share=_SHARE)

    def path(self, name: str) -> Path | None:
        """Returns where a part keeps a file, or None if nothing is kept."""
        return None if self.folder is None else self.folder / name

    def done(self, name: str, **kinds: type) -> dict | None:
        """Returns the record of a finished part, or None.

        Args:
            name: The part's name.
            **kinds: What the record must hold. A record of an older version is ignored, and the part runs again.
        """
        path = self.path(f"{name}.json")
        if path is None or not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record, dict):
                raise ValueError("it is no record")
            if wrong := [key for key, kind in kinds.items() if not isinstance(record.get(key), kind)]:
                raise ValueError(f"it lacks {', '.join(wrong)}")
            return record
        except (ValueError, RecursionError, OSError) as reason:
            tqdm.write(f"The record of {name} is damaged ({reason}): it runs again.")
            return None

    def wait(self, name: str, **kinds: type) -> dict:
        """Returns the record of a part on which the chief works, as soon as it is there."""
        told = False
        while (record := self.done(name, **kinds)) is None:
            if not told:
                tqdm.write(f"Waiting for the chief to finish {name} ...")
            told = True
            time.sleep(_POLL_SECONDS)
        return record

    def done_or_wait(self, name: str, **kinds: type) -> dict | None:
        """Returns `done` of the chief, and `wait` of every other worker."""
        return self.done(name, **kinds) if self.is_chief else self.wait(name, **kinds)

    def finish(self, name: str, record: dict) -> None:
        """Records that a part is finished."""
        path = self.path(f"{name}.json")
        if path is not None and self.is_chief:
            atomic.write_text(path, json.dumps(record))
