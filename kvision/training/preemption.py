"""Handles SIGTERM during a training: finish the step, write a checkpoint, exit with the code for "run again"."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from kvision.exit_codes import RUN_AGAIN

__all__ = ["Preempted", "watch"]


class Preempted(SystemExit):
    """Raised after SIGTERM, when the checkpoint is saved. Run the same command again to continue.

    This exception is a `SystemExit`, so it ends the process with exit code 75.

    Args:
        path: The checkpoint that was written.

    Attributes:
        path: The checkpoint that was written.
    """

    def __init__(self, path: Path):
        super().__init__(RUN_AGAIN)
        self.path = path

    def __str__(self):
        return f"Ended by SIGTERM after {self.path} was written. Run the same command again to continue."


@contextlib.contextmanager
def watch() -> Iterator[threading.Event]:
    """Inside the `with` block, SIGTERM sets an event instead of ending the process.

    If the event is set at the end and no exception was raised, the signal is sent again. Signals are noticed only in
    the main thread.

    Yields:
        The event.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
    if asked.is_set():  # The signal came after the last step.
        signal.raise_signal(signal.SIGTERM)
