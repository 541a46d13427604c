"""How a command that works for long ends: an exit status, and one line that says why."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from kvision import checks, exit_codes, writable

__all__ = ["Terminated", "ended", "told_of_sigterm"]


class Terminated(BaseException):
    """SIGTERM outside of a training, which handles it itself."""


def ended(name: str, work: Callable[[], int], *, out: str | Path, argument: str = "--out") -> int:
    """Runs the work of a command and returns its exit status; what the user can change is told without a traceback.

    Args:
        name: The command, without `kvision`.
        work: Returns the exit status.
        out: The folder that it writes to.
        argument: The flag or argument that named this folder.

    Returns:
        The status of `work`, or one of `kvision.exit_codes`.
    """
    try:
        return work()
    except checks.UserError as problem:
        return _tell(name, str(problem), exit_codes.USER_ERROR)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _tell(name, "stopped. The same command goes on where it can.", exit_codes.INTERRUPTED)
    except Terminated:
        return _tell(name, "ended by SIGTERM. The same command goes on where it can.", exit_codes.RUN_AGAIN)
    except SystemExit as stop:
        if stop.code != exit_codes.RUN_AGAIN:
            raise
        return _tell(name, str(stop), exit_codes.RUN_AGAIN)
    except Exception as problem:
        if (failure := writable.failure(problem, out, argument=argument)) is not None:
            return _tell(name, str(failure), exit_codes.USER_ERROR)
        from kvision import distribute

        if not distribute.lost_peer(problem):
            raise
        reason = str(problem).strip().partition("\n")[0][:300]
        text = f"lost another worker ({type(problem).__name__}: {reason}). The same command on all goes on."
        os._exit(_tell(name, text, exit_codes.RUN_AGAIN))  # TensorFlow's own end waits for the others


def _tell(name: str, text: str, status: int) -> int:
    print(f"kvision {name}: {text}", file=sys.stderr, flush=True)
    return status


@contextlib.contextmanager
def told_of_sigterm() -> Iterator[None]:
    """While open, SIGTERM raises `Terminated` where no training handles it; in the main thread."""

    def stop(*_):
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
