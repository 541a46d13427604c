"""One process at a time works on a run: two would train in one folder, and remove each other's files."""

import contextlib
import fcntl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from kvision import checks

__all__ = ["alone"]

_PATIENCE = 120.0  # seconds; a server of files may hold the lock of a machine that is gone so long
_POLL = 0.5


@contextlib.contextmanager
def alone(folder: Path, name: str = "run", *, patience: float | None = None) -> Iterator[None]:
    """While open, the work called `name` in `folder` is this process's; one that dies gives it free.

    Where it is another's, waits for `patience` seconds (None: 120), then raises UserError. File systems without locks,
    as some that machines share, are worked on without one.
    """
    patience = _PATIENCE if patience is None else patience
    end, told = time.monotonic() + patience, False
    with (folder / f".lock-{name}").open("a") as file:  # which changes nothing of it
        while not _locked(file):
            if time.monotonic() >= end:
                raise checks.error(
                    "--out",
                    problem=f"holds this very {name}, and another process is at work on it",
                    expected="one process for each",
                    received=str(folder),
                    hint="When that has ended, the same command shows what came of it; or take another --out",
                )
            if not told:
                tqdm.write(f"Another process is at work on {folder} ({name}): waits for it ...", file=sys.stderr)
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
