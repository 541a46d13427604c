import errno
import os
from pathlib import Path

import pytest

from kvision import writable
from kvision.checks import UserError


def test_a_folder_to_be_made_is_no_trouble_and_nothing_stays(tmp_path):
    writable.require(tmp_path / "to/be/made", argument="folder")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_to_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for place in ("file", "file/below", "link/below"):
        with pytest.raises(UserError, match=r"`--out` cannot be written to: .* is not a folder"):
            writable.require(tmp_path / place, argument="--out")
    with pytest.raises(UserError, match="`--logs` cannot be written to: "):
        writable.require("/proc/nowhere", argument="--logs")  # not even by root
    monkeypatch.setattr(writable.tempfile, "TemporaryFile", lambda dir: Path("/dev/full").open("wb"))  # noqa: SIM115
    with pytest.raises(UserError, match=r"No space left on device\. Expected a folder with free space"):
        writable.require(tmp_path, argument="folder")


def test_failures_of_writing_are_told_from_others(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    quoted = RuntimeError("Can't write data (errno = 28, error message = 'No space left on device')")
    wrapped = ValueError("not saved")
    wrapped.__cause__ = full
    for problem in (full, quoted, wrapped):
        assert "finished parts are not repeated" in str(writable.failure(problem, tmp_path, argument="folder"))
    lost = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "runs/x"))
    assert "cannot be written to: Permission denied" in str(writable.failure(lost, tmp_path, argument="folder"))
    missing = FileNotFoundError(errno.ENOENT, "No such file", str(tmp_path / "x"))  # a mistake of ours
    for other in (PermissionError(errno.EACCES, "Permission denied", "/data/a.jpg"), missing, KeyError("x")):
        assert writable.failure(other, tmp_path, argument="folder") is None
