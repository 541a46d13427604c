"""SIGTERM while a training runs: finish the step, write a checkpoint, leave with a code that says "run me again"."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from kvision import distribute
from kvision.exit_codes import RUN_AGAIN

__all__ = ["Notice", "Preempted", "watch"]


class Preempted(SystemExit):
    """The process was asked to end, and everything is saved. Exit code 75; the same command goes on."""

    def __init__(self, path: Path):
        super().__init__(RUN_AGAIN)
        self.path = path

    def __str__(self):
        return f"Ended by SIGTERM after {self.path} was written. The same command goes on."


class Notice:
    """Whether some process of this training was asked to end."""

    def __init__(self):
        self.asked = False

    def give(self, *_) -> None:
        self.asked = True

    def given(self) -> bool:
        """Asked of all machines together after each step, so that all end after the same one."""
        return distribute.anyone(self.asked)


@contextlib.contextmanager
def watch() -> Iterator[Notice]:
    """While open, SIGTERM is noticed instead of ending the process; one that nobody acted on comes again at the end.

    In other threads than the main one, nothing is noticed.
    """
    notice = Notice()
    if threading.current_thread() is not threading.main_thread():
        yield notice
        return
    before = signal.signal(signal.SIGTERM, notice.give)
    try:
        yield notice
    finally:
        signal.signal(signal.SIGTERM, before)
    if notice.asked:  # after the last step
        signal.raise_signal(signal.SIGTERM)
