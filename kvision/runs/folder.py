"""The folder of a run. Its name is a hash of the settings and the data."""

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
    """Creates the folder of a run.

    The same command on the same data uses the same folder. Running it again therefore continues the run.

    Args:
        out: The folder of the command's models and runs.
        config: The settings of the command.
        split: The data of the command.
        without: Settings that do not change the folder. `strategy` never changes the folder.

    Returns:
        The folder.
    """
    ignored = {"strategy", *without}
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in ignored}
    key = json.dumps([__version__, settings, split.fingerprint], sort_keys=True)
    folder = out / "runs" / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
