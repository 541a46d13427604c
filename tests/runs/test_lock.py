import subprocess
import sys

import pytest

from kvision.checks import UserError
from kvision.runs.lock import alone

HOLD = """
import sys
from pathlib import Path
from kvision.runs.lock import alone
with alone(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_told_and_the_end_of_the_first_gives_it_free(tmp_path, capsys):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        with alone(tmp_path, "another"):
            pass
        text = "`out` is in use: another process is working on this run"
        with pytest.raises(UserError, match=text), alone(tmp_path, patience=0.1):
            pass
        assert capsys.readouterr().err.count("Waiting for another process") == 1
        other.kill()
    for _ in range(2):
        with alone(tmp_path, patience=0):
            pass
