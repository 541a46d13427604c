import os
import signal
import sys

import pytest
from processes import alive, wait_until

from kvision.launching.logs import Log
from kvision.launching.worker import Worker


@pytest.fixture
def start(tmp_path):
    started = []

    def start(program: str, **variables: str) -> tuple[Worker, list[str]]:
        lines = []
        command = [sys.executable, "-c", f"import os, signal, sys, time\n{program}"]
        worker = Worker(3, command, {**os.environ, **variables}, Log(tmp_path / "log", lines.append))
        started.append(worker)
        return worker, lines

    yield start
    for worker in started:
        worker.kill()
        worker.close()


def end(worker: Worker) -> None:
    while worker.read():
        pass
    assert wait_until(lambda: worker.poll() or worker.code is not None)


def test_output_status_environment_and_session(start):
    worker, lines = start("print(os.environ['A'], os.getsid(0) == os.getpid(), sys.stdin.read()); sys.exit(4)", A="b")
    assert worker.code is None
    end(worker)
    assert worker.code == 4 and lines == ["b True "] and worker.describe() == "worker 3 ended with exit status 4"


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (35, "signal 35")])
def test_a_signal_is_named(start, number, name):
    worker, _ = start(f"os.kill(os.getpid(), {number})")
    end(worker)
    assert worker.describe() == f"worker 3 was killed by {name}" and not worker.was_ended


def test_what_our_signal_ended_is_told_from_what_died(start):
    ours, _ = start("time.sleep(60)")
    ours.send(signal.SIGTERM)
    end(ours)
    assert ours.code == -signal.SIGTERM and ours.was_ended
    crashed, lines = start("signal.signal(signal.SIGTERM, lambda *_: os.abort()); print(1, flush=True); time.sleep(60)")
    while not lines:
        crashed.read()
    crashed.send(signal.SIGTERM)
    end(crashed)
    assert crashed.code == -signal.SIGABRT and not crashed.was_ended


def test_kill_reaches_what_it_started(start):
    worker, lines = start(
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    while not lines:
        worker.read()
    child = int(lines[0])
    assert alive(child)
    worker.kill()
    assert worker.code == -signal.SIGKILL and worker.was_ended and wait_until(lambda: not alive(child))
