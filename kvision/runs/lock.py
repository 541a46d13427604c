"""One process at a time works on a run: two would train in one folder, and remove each other's files."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from kvision import checks

__all__ = ["alone"]


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While open, `folder` is this process's; UserError where it is another's. A process that dies gives it free.

    File systems without locks, as some that machines share, are worked on without one.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise checks.error(
                "--out",
                problem="holds this very run, and another process is at work on it",
                expected="one process for a run",
                received=str(folder),
                hint="Wait until it has ended, then the same command shows what came of it; or take another --out",
            ) from taken
        except OSError:
            pass
        yield
