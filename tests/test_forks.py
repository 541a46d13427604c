import os
import signal
import subprocess
import sys

import forks

ASKED = """
import os, sys
print(sys.argv[1:], os.environ["ASKED"], os.getcwd(), sys.stdin.read())
print("tensorflow" in sys.modules, file=sys.stderr)
raise SystemExit(7)
"""


def test_it_is_what_a_process_of_its_own_is(tmp_path):
    environment, options = {**os.environ, "ASKED": "ü"}, {"capture_output": True, "text": True, "input": "in"}
    command = [sys.executable, "-c", ASKED, "a", "b c"]
    found = forks.run(command, env=environment, cwd=tmp_path, **options)
    expected = subprocess.run(command, env=environment, cwd=tmp_path, **options)
    assert (found.returncode, found.stdout) == (expected.returncode, expected.stdout) == (7, found.stdout)
    assert (found.stderr, expected.stderr) == ("True\n", "False\n"), "but for what is imported"


def test_an_error_a_signal_and_one_that_is_killed():
    failed = forks.run([sys.executable, "-c", "1 / 0"], capture_output=True, text=True)
    assert failed.returncode == 1 and failed.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    with forks.Popen([sys.executable, "-c", "print(input(), flush=True); input()"], stdin=-1, stdout=-1) as process:
        process.stdin.write(b"here\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"here\n" and process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM and process.poll() == -signal.SIGTERM


def test_another_program_is_started_as_ever():
    assert forks.run(["sh", "-c", "exit 3"]).returncode == 3
