"""Runs a worker process with its log."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from kvision.launching import leash
from kvision.launching.logs import Log

__all__ = ["Worker"]


class Worker:
    """A worker process. The constructor starts the process.

    The process has its own session, so that Ctrl-C in the terminal reaches only the launcher. Create a worker in the
    main thread: if the thread that started a process ends, Linux treats this as the death of the parent.

    Args:
        index: Number of the worker, from 0.
        command: Program and arguments.
        environment: All environment variables of the process.
        log: The log that receives the output of the process. `close` closes this log.

    Attributes:
        code: Exit status, -N if signal N ended the process, or None while it runs.
        ended: `time.monotonic()` when `poll` saw the end.

    Raises:
        OSError: If the process cannot be started.
    """

    def __init__(self, index: int, command: Sequence[str], environment: Mapping[str, str], log: Log):
        self.index, self.log = index, log
        self.code: int | None = None
        self.ended = float("inf")
        self._sent: set[int] = set()
        held = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command]
        self._process = subprocess.Popen(
            held,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )

    def fileno(self) -> int:
        """Returns the file descriptor of the output, for a selector."""
        return self._process.stdout.fileno()

    def read(self) -> bool:
        """Reads output into the log. If there is no output yet, waits for it.

        Returns:
            Whether more output can follow.
        """
        data = os.read(self.fileno(), 65536)
        self.log.feed(data)
        return bool(data)

    def poll(self) -> None:
        """Checks whether the process has ended. If so, kills the processes that it started."""
        if self.code is None and (code := self._process.poll()) is not None:
            self.code, self.ended = code, time.monotonic()
            self._kill_group()

    def send(self, number: int) -> None:
        """Sends a signal to the process, but not to the processes that it started.

        Args:
            number: The signal.
        """
        self._sent.add(number)
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kills the process and the processes that it started, and waits until it has ended."""
        if self.code is None:
            self._sent.add(signal.SIGKILL)
            self._kill_group()
            self._process.wait()
            self.poll()

    def close(self) -> None:
        """Closes the log and the output of the process."""
        self.log.close()
        self._process.stdout.close()

    @property
    def was_ended(self) -> bool:
        """Whether a signal from the launcher ended the process, so that it did not fail by itself."""
        return self.code is not None and -self.code in self._sent

    def describe(self) -> str:
        """Returns a text that describes how the process ended."""
        if self.code >= 0:
            return f"worker {self.index} ended with exit status {self.code}"
        with contextlib.suppress(ValueError):  # A real-time signal has no name.
            return f"worker {self.index} was killed by {signal.Signals(-self.code).name}"
        return f"worker {self.index} was killed by signal {-self.code}"

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # No process is left. macOS raises the second.
            os.killpg(self._process.pid, signal.SIGKILL)
