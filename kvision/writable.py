"""Checks before the work that a results folder can be written to, and explains failed writes."""

import errno
import os
import tempfile
from pathlib import Path

from kvision import checks

__all__ = ["failure", "require"]

_PROBE = 1 << 20  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


def require(folder: str | Path, *, argument: str) -> None:
    """Checks that files can be written to a folder, which may not exist yet. The check leaves no files behind.

    Args:
        folder: Where results will be written.
        argument: The flag or parameter that the user passed the folder with, for errors.

    Raises:
        UserError: If the folder is read-only, if a part of its path is a file, or if there is no space for one
            megabyte.
    """
    try:
        _write_probe(Path(folder).absolute())
    except OSError as reason:
        error = _error(reason, folder, argument)
        raise error from reason


def _write_probe(place: Path) -> None:
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise OSError(errno.ENOTDIR, f"{place} is not a folder")
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(bytes(_PROBE))
        file.flush()


def failure(problem: BaseException, folder: str | Path, *, argument: str) -> checks.UserError | None:
    """Returns an error for the user if an exception means that results could not be written.

    Libraries wrap the error of the operating system, or only quote its text. So the causes and the texts of the
    exception are checked, too.

    Args:
        problem: The exception that was raised while a command worked.
        folder: Folder of the results of this command.
        argument: The flag or parameter that the user passed the folder with, for errors.

    Returns:
        The error to show, or None if the exception has a different cause.
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
    return checks.UserError(
        argument,
        problem=f"cannot be written to: {reason.strerror or reason}",
        expected="a folder with free space" if full else "a folder that files can be written to",
        received=str(folder),
        hint="Free some space and run the same command again: finished parts are not repeated" if full else "",
    )
