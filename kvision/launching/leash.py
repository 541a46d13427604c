"""Becomes a worker that the kernel kills when the launcher dies: `python -I -S leash.py LAUNCHER_PID COMMAND...`.

A launcher that is killed by SIGKILL cannot end its workers. On Linux, a process can request a signal for the death of
its parent, and this setting survives `exec`. So this program requests the signal and then executes the worker's
command. On systems other than Linux, this program only executes the command. Python's `preexec_fn` could do the same
between fork and exec. But there a lock could be held forever by a thread that no longer exists. This program imports
nothing from kvision and takes about 20 ms.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # The value in linux/prctl.h.


def main(argv: Sequence[str]) -> None:
    """Executes the command, and does not return.

    Args:
        argv: Process id of the launcher, then the command.
    """
    launcher, command = int(argv[0]), list(argv[1:])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != launcher:  # The launcher died before the call above.
        sys.exit(f"the launcher (process {launcher}) is gone")
    try:
        os.execvp(command[0], command)
    except OSError as reason:
        sys.exit(f"{command[0]} cannot be started: {reason.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
