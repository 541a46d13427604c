"""Folders for results: whether they can be written to, asked before the work, and what a failed write means."""

import errno
import os
import tempfile
from pathlib import Path

from kvision import checks

__all__ = ["failure", "require"]

_PROBE = 1 << 20  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


def require(folder: str | Path, *, argument: str = "--out") -> None:
    """Checks that files can be written below a folder, which need not exist yet. Leaves nothing behind.

    Args:
        folder: Where results will be written.
        argument: The flag or parameter that named it.

    Raises:
        kvision.UserError: If the folder is read-only, stands below a file, or has no room for a megabyte.
    """
    place = Path(folder).absolute()
    try:
        while not os.path.lexists(place):
            place = place.parent
        if not place.is_dir():
            raise OSError(errno.ENOTDIR, f"{place} is not a folder")
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(_PROBE))
            file.flush()
    except OSError as reason:
        raise _error(reason, folder, argument) from reason


def failure(problem: BaseException, folder: str | Path, *, argument: str = "--out") -> checks.UserError | None:
    """Returns what to tell the user where an exception means that results could not be written, else `None`.

    Libraries wrap the system's error, or only quote it: the causes and the texts are looked at, too.

    Args:
        problem: What was raised while a command worked.
        folder: Where its results are written.
        argument: The flag or parameter that named the folder.
    """
    seen: BaseException | None = problem
    while seen is not None:
        if any(os.strerror(number) in str(seen) for number in _FULL):
            return _error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), folder, argument)
        if isinstance(seen, OSError) and seen.errno in _REFUSED and seen.filename is not None:
            path = Path(os.fsdecode(seen.filename)).absolute()
            if path.is_relative_to(Path(folder).absolute()):
                return _error(seen, folder, argument)
        seen = seen.__cause__ or seen.__context__
    return None


def _error(reason: OSError, folder: str | Path, argument: str) -> checks.UserError:
    full = reason.errno in _FULL
    return checks.error(
        argument,
        problem=f"cannot be written to: {reason.strerror or reason}",
        expected="a folder with free space" if full else "a folder that files can be written to",
        received=str(folder),
        hint="Free some space and run the same command again: finished parts are not repeated" if full else "",
    )
