"""The folder of a run, named by its settings and data."""

import dataclasses
import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from kvision import __version__
from kvision.runs.result import Split
from kvision.runs.settings import Settings

__all__ = ["run_folder"]


def run_folder(out: Path, config: Settings, split: Split, *, without: Collection[str] = ()) -> Path:
    """Creates the folder of a run and returns it.

    The same command on the same data has the same folder, so that it continues.

    Args:
        out: The command's `--out`.
        config: Its settings.
        split: Its data.
        without: Settings that do not make another run. The strategy never does.
    """
    ignored = {"strategy", *without}
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in ignored}
    key = json.dumps([__version__, settings, split.fingerprint], sort_keys=True)
    folder = out / "runs" / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
