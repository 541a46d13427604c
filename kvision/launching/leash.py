"""Becomes a worker that the kernel kills when the launcher dies: `python -I -S leash.py LAUNCHER_PID COMMAND...`.

A launcher that is killed with SIGKILL can end nobody. Linux' parent death signal outlives `exec`, so this file asks for
it and then turns into the worker. Python's `preexec_fn` would do the same between fork and exec, where other threads'
locks may be held for ever. Elsewhere than on Linux it only turns into the worker. Runs as a file by itself: it imports
nothing of kvision, and costs some 20 ms.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(argv: Sequence[str]) -> None:
    """argv: the launcher's process id, then the command. Does not return."""
    launcher, command = int(argv[0]), list(argv[1:])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != launcher:  # it died before the call above
        sys.exit(f"the launcher (process {launcher}) is gone")
    try:
        os.execvp(command[0], command)
    except OSError as reason:
        sys.exit(f"{command[0]} cannot be started: {reason.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
