"""A lock on the folder of a run, because two processes in one folder would remove each other's files."""

import contextlib
import fcntl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from kvision import checks

__all__ = ["alone"]

_PATIENCE = 120.0  # seconds: after a machine has died, a file server may keep its lock for this time
_POLL = 0.5


@contextlib.contextmanager
def alone(folder: Path, name: str = "run", *, patience: float | None = None) -> Iterator[None]:
    """Keeps other processes from doing the work `name` in `folder`, while the context is open.

    A process that dies releases its lock. On a file system without locks, such as some network file systems, nothing
    is locked.

    Args:
        folder: The run's folder.
        name: The name of the work.
        patience: How long to wait for another process, in seconds. If None, 120.

    Yields:
        Nothing.

    Raises:
        UserError: If another process still does this work after `patience` seconds.
    """
    patience = _PATIENCE if patience is None else patience
    end, told = time.monotonic() + patience, False
    with (folder / f".lock-{name}").open("a") as file:
        while not _locked(file):
            if time.monotonic() >= end:
                raise checks.UserError(
                    "out",
                    problem=f"is in use: another process is working on this {name}",
                    expected="one process at a time",
                    received=str(folder),
                    hint="Wait until it has ended, or use another `out`",
                )
            if not told:
                tqdm.write(f"Waiting for another process that is working on {folder} ({name}) ...", file=sys.stderr)
            told = True
            time.sleep(_POLL)
        yield


def _locked(file) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
