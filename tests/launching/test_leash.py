import os
import subprocess
import sys

import pytest
from processes import alive, wait_until

from kvision.launching import leash

HELD = [sys.executable, "-I", "-S", leash.__file__]


def test_it_becomes_the_command_with_its_arguments_and_status():
    program = "import os, sys; print(os.getpid(), sys.argv[1:], os.environ['A']); sys.exit(7)"
    process = subprocess.Popen(
        [*HELD, str(os.getpid()), sys.executable, "-c", program, "--", "two words"],
        stdout=subprocess.PIPE,
        env={**os.environ, "A": "kept"},
        text=True,
    )
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (7, f"{process.pid} ['--', 'two words'] kept\n")


def test_a_command_that_does_not_exist_is_named():
    result = subprocess.run([*HELD, str(os.getpid()), "/no/such/thing"], capture_output=True, text=True, timeout=10)
    assert result.returncode == 1 and result.stderr == "/no/such/thing cannot be started: No such file or directory\n"


def test_whose_launcher_is_gone_already_does_not_start():
    command = [*HELD, "999999999", sys.executable, "-c", "print('started')"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert result.returncode == 1 and "is gone" in result.stderr and not result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the parent death signal is Linux'")
@pytest.mark.parametrize("held", [True, False])
def test_the_kernel_kills_it_with_its_launcher(held):
    """False is the control: without the leash it stays."""
    launcher = """
import subprocess, sys, os
held = [*sys.argv[1:], str(os.getpid())] if len(sys.argv) > 1 else []
child = subprocess.Popen([*held, sys.executable, "-c", "print('on', flush=True); import time; time.sleep(30)"],
                         stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()"""
    command = [sys.executable, "-c", launcher, *(HELD if held else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    try:
        assert wait_until(lambda: not alive(pid), seconds=5 if held else 0.5) == held
    finally:
        if alive(pid):
            os.kill(pid, 9)
