"""One worker process: started in a session of its own, its output in a log, ended with all that it started."""

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
    """A running process; it starts with the object.

    A session of its own keeps the terminal's Ctrl-C away, which reaches the launcher alone. It must be made in the
    main thread: Linux counts a worker's parent as dead when the thread that started it ends.
    """

    def __init__(self, index: int, command: Sequence[str], environment: Mapping[str, str], log: Log):
        """environment: all of it. Takes over `log`. Raises OSError if no process can be started."""
        self.index, self.log = index, log
        self.code: int | None = None
        """The exit status; -N if signal N ended it, None while it runs."""
        self.ended = float("inf")
        """`time.monotonic` when the end was seen."""
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
        """Of its output, for a selector; Popen was given a pipe."""
        return self._process.stdout.fileno()

    def read(self) -> bool:
        """Takes what it wrote; waits if that is nothing. Returns whether there may be more."""
        data = os.read(self.fileno(), 65536)
        self.log.feed(data)
        return bool(data)

    def poll(self) -> None:
        """Looks whether it has ended; what it left running in its session is killed then."""
        if self.code is None and (code := self._process.poll()) is not None:
            self.code, self.ended = code, time.monotonic()
            self._kill_group()

    def send(self, number: int) -> None:
        """Signals the process itself: what it started is its own business as long as it runs."""
        self._sent.add(number)
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the process and all that it started; waits until it is gone."""
        if self.code is None:
            self._sent.add(signal.SIGKILL)
            self._kill_group()
            self._process.wait()
            self.poll()

    def close(self) -> None:
        """Its output is not read any more."""
        self.log.close()
        self._process.stdout.close()

    @property
    def was_ended(self) -> bool:
        """Whether a signal of ours ended it, so that it is not the cause of anything."""
        return self.code is not None and -self.code in self._sent

    def describe(self) -> str:
        """What became of it, in words."""
        if self.code is None:
            return f"worker {self.index} runs"
        if self.code >= 0:
            return f"worker {self.index} ended with exit status {self.code}"
        with contextlib.suppress(ValueError):  # a real-time signal has no name
            return f"worker {self.index} was killed by {signal.Signals(-self.code).name}"
        return f"worker {self.index} was killed by signal {-self.code}"

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left (macOS says the second)
            os.killpg(self._process.pid, signal.SIGKILL)
