import errno
import os

import pytest

from kvision import exit_codes, flags
from kvision.checks import UserError
from kvision.runs.ending import Terminated, ended


def parser() -> flags.Parser:
    parser = flags.Parser(prog="kvision toy")
    parser.add_argument("--image-size")
    parser.add_argument("--size", dest="image_size")
    return parser


def raises(problem: BaseException):
    def work() -> int:
        raise problem

    return work


@pytest.mark.parametrize(
    ("problem", "status", "text"),
    [
        (UserError("`image_size` is wrong."), exit_codes.USER_ERROR, "kvision toy: `--image-size` is wrong.\n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), exit_codes.USER_ERROR, "No space left on device. Expected"),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED, "kvision toy: stopped."),
        (Terminated(), exit_codes.RUN_AGAIN, "kvision toy: ended by SIGTERM."),
        (SystemExit(exit_codes.RUN_AGAIN), exit_codes.RUN_AGAIN, "kvision toy: 75"),
    ],
)
def test_each_end_is_a_status_and_a_line(problem, status, text, tmp_path, capsys):
    assert ended(parser(), raises(problem), out=tmp_path) == status
    assert text in capsys.readouterr().err


def test_other_ends_pass(tmp_path):
    assert ended(parser(), lambda: 1, out=tmp_path) == 1
    for problem in (SystemExit(3), KeyError("a mistake of ours")):
        with pytest.raises(type(problem)):
            ended(parser(), raises(problem), out=tmp_path)
