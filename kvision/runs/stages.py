"""Finished parts of a run, kept so that the same command does not repeat them."""

import json
from pathlib import Path

from tqdm import tqdm

from kvision import atomic

__all__ = ["Stages"]


class Stages:
    """Records of finished stages in a folder.

    folder: None keeps nothing (a recipe called from Python). fresh: ignores what earlier runs left, and overwrites it.
    A stage writes its files first, `finish` last: what has no record is not finished.
    """

    def __init__(self, folder: Path | None = None, *, fresh: bool = False):
        self.folder, self.fresh = folder, fresh

    def path(self, name: str) -> Path | None:
        """Where a stage keeps a file; None where nothing is kept."""
        return None if self.folder is None else self.folder / name

    def done(self, stage: str, **kinds: type) -> dict | None:
        """The record of a finished stage, else None. kinds: what it must hold; a record of another make runs again."""
        path = self.path(f"{stage}.json")
        if path is None or self.fresh or not path.exists():
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

    def finish(self, stage: str, record: dict) -> None:
        """Marks a stage as finished."""
        path = self.path(f"{stage}.json")
        if path is not None:
            atomic.write_text(path, json.dumps(record))
