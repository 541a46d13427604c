"""Ends a long-running command with an exit status and one line that gives the reason."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from kvision import checks, exit_codes, flags, writable

__all__ = ["Terminated", "ended", "told_of_sigterm"]


class Terminated(BaseException):
    """Raised for SIGTERM outside of a training. A training handles the signal itself."""


def ended(parser: flags.Parser, work: Callable[[], int], *, out: str | Path, argument: str = "--out") -> int:
    """Runs the work of a command. Prints an error that the user can fix as one line without a traceback.

    Args:
        parser: The command's parser. Errors show the flags of the parser instead of the names of settings.
        work: A function that does the work and returns the exit status.
        out: The folder that the command writes to.
        argument: The flag or argument for this folder, as the user writes it.

    Returns:
        The status of `work`, or one of `kvision.exit_codes`.

    Raises:
        SystemExit: If `work` raises it with a status that is not `RUN_AGAIN`.
    """

    def told(text: str, status: int) -> int:
        print(f"{parser.prog}: {text}", file=sys.stderr, flush=True)
        return status

    try:
        return work()
    except checks.UserError as problem:
        return told(parser.in_flags(problem), exit_codes.USER_ERROR)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return told("stopped. Run the same command again to continue.", exit_codes.INTERRUPTED)
    except Terminated:
        return told("ended by SIGTERM. Run the same command again to continue.", exit_codes.RUN_AGAIN)
    except SystemExit as stop:
        if stop.code != exit_codes.RUN_AGAIN:
            raise
        return told(str(stop), exit_codes.RUN_AGAIN)
    except Exception as problem:
        if (failure := writable.failure(problem, out, argument=argument)) is not None:
            return told(str(failure), exit_codes.USER_ERROR)
        from kvision.distribute.cluster import lost_peer

        if not lost_peer(problem):
            raise
        reason = str(problem).strip().partition("\n")[0][:300]
        text = f"lost another worker ({type(problem).__name__}: {reason}). Run the same command on all of them again."
        os._exit(told(text, exit_codes.RUN_AGAIN))  # A normal exit of TensorFlow would wait for the other workers.


@contextlib.contextmanager
def told_of_sigterm() -> Iterator[None]:
    """Makes SIGTERM raise `Terminated` outside of a training, while the context is open.

    Outside of the main thread it has no effect.

    Yields:
        Nothing.
    """

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
