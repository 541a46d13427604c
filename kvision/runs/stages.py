"""Finished parts of a run, kept so that the same command does not repeat them."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from kvision import atomic

if TYPE_CHECKING:
    from kvision.training import Resume

__all__ = ["Stages"]

_CHECKPOINTS = "checkpoints"
_POLL_SECONDS = 0.5


class Stages:
    """Records of finished stages in a folder.

    folder: None keeps nothing (a recipe called from Python). again: a finished run (one with a report) is begun anew,
    its report kept under a number; an unfinished one goes on. leads: whether this process does the stages and writes;
    of several machines one does, and the others read what it wrote.
    A stage writes its files first, `finish` last: what has no record is not finished.
    """

    def __init__(self, folder: Path | None = None, *, again: bool = False, leads: bool = True):
        self.folder, self.leads = folder, leads
        if again and leads and folder is not None and (report := folder / "report.json").exists():
            number = 1 + len(list(folder.glob("report-*.json")))
            for record in folder.glob("*.json"):
                if record != report and not record.name.startswith("report-"):
                    record.unlink()
            shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)
            report.rename(folder / f"report-{number}.json")

    def resume(self, training: str = "") -> "Resume | None":
        """What a training needs to go on, at most a twentieth of its time; None where nothing is kept. training: its
        name, where a run has several."""
        from kvision.training import Resume

        return None if self.folder is None else Resume(self.folder / _CHECKPOINTS / training, share=0.05)

    def path(self, name: str) -> Path | None:
        """Where a stage keeps a file; None where nothing is kept."""
        return None if self.folder is None else self.folder / name

    def done(self, stage: str, **kinds: type) -> dict | None:
        """The record of a finished stage, else None. kinds: what it must hold; a record of another make runs again."""
        path = self.path(f"{stage}.json")
        if path is None or not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record, dict):
                raise ValueError("it is no record")
            if wrong := [name for name, kind in kinds.items() if not isinstance(record.get(name), kind)]:
                raise ValueError(f"it lacks {', '.join(wrong)}")
            return record
        except (ValueError, RecursionError, OSError) as reason:
            tqdm.write(f"The record of the stage {stage} is damaged ({reason}): it runs again.")
            return None

    def wait(self, stage: str, **kinds: type) -> dict:
        """The record of a stage that the leading process works on, as soon as it is there."""
        told = False
        while (record := self.done(stage, **kinds)) is None:
            if not told:
                tqdm.write(f"Waits for the first worker's {stage} ...")
            told = True
            time.sleep(_POLL_SECONDS)
        return record

    def finish(self, stage: str, record: dict) -> None:
        """Marks a stage as finished."""
        path = self.path(f"{stage}.json")
        if path is not None and self.leads:
            atomic.write_text(path, json.dumps(record))
