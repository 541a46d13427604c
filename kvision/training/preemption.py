"""SIGTERM while a training runs: finish the step, write a checkpoint, leave with a code that says "run me again"."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from kvision import distribute
from kvision.exit_codes import RUN_AGAIN

__all__ = ["Notice", "Preempted", "watch"]

_MARK = "preempted"  # a file by which any machine tells the one that writes


class Preempted(SystemExit):
    """The process was asked to end, and everything is saved. Exit code 75; the same command goes on."""

    def __init__(self, path: Path):
        super().__init__(RUN_AGAIN)
        self.path = path

    def __str__(self):
        return f"Ended by SIGTERM after {self.path} was written. The same command goes on."


class Notice:
    """Whether some process of this training was asked to end. folder: one that all of them see."""

    def __init__(self, folder: Path):
        self._mark = folder / _MARK
        self._alone = distribute.worker_count() == 1
        self._asked = False
        if distribute.is_chief():
            self._mark.unlink(missing_ok=True)

    def given(self) -> bool:
        return self._asked or (not self._alone and self._mark.exists())

    def give(self, *_) -> None:
        self._asked = True
        if not self._alone:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._mark.touch()


@contextlib.contextmanager
def watch(folder: Path) -> Iterator[Notice]:
    """While open, SIGTERM is noticed instead of ending the process. In other threads than the main one, nothing is."""
    notice = Notice(folder)
    if threading.current_thread() is not threading.main_thread():
        yield notice
        return
    before = signal.signal(signal.SIGTERM, notice.give)
    try:
        yield notice
    finally:
        signal.signal(signal.SIGTERM, before)
