import json
import signal
import sys

import pytest
from processes import alive, wait_until

from kvision.launching import cores
from kvision.launching.team import Team

PRINTS = "import os, sys; print(os.environ['TF_CONFIG']); print({n: os.environ[n] for n in sys.argv[1:]})"


def finish(team: Team) -> None:
    while team.running:
        team.pump()


def test_every_worker_knows_the_cluster_and_its_share_of_the_cores(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "from outside")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    for name in ("PYTHONUNBUFFERED", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    names = ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "PYTHONUNBUFFERED"]
    lines = []
    with Team([sys.executable, "-c", PRINTS, *names], [5001, 5002], tmp_path, lines.append) as team:
        finish(team)
    share = cores.share({}, 2)["TF_NUM_INTRAOP_THREADS"]
    threads = str(dict(zip(names, [share, share, "7", "1"], strict=True)))
    for index in range(2):
        config, seen = [line.partition("] ")[2] for line in lines if line.startswith(f"[worker {index}] ")]
        assert json.loads(config)["cluster"]["worker"] == ["127.0.0.1:5001", "127.0.0.1:5002"]
        assert json.loads(config)["task"] == {"type": "worker", "index": index} and seen == threads
    assert team.cause() is None


def test_whatever_happens_inside_no_worker_stays(tmp_path):
    with (
        pytest.raises(KeyError),
        Team([sys.executable, "-c", "import time; time.sleep(60)"], [5001, 5002], tmp_path, print) as team,
    ):
        assert len(team.running) == 2
        raise KeyError
    assert [worker.code for worker in team.workers] == [-signal.SIGKILL] * 2


def test_a_start_that_fails_half_way_ends_the_other_half(tmp_path):
    (tmp_path / "worker-1.log").mkdir()  # cannot be written
    pid = tmp_path / "pid"
    program = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    team = Team([sys.executable, "-c", program], [5001, 5002], tmp_path, print)
    with pytest.raises(IsADirectoryError), team:
        pass
    assert len(team.workers) == 1 and team.workers[0].code == -signal.SIGKILL


def test_who_explains_the_others(tmp_path):
    """In order of time: 75, 1, 2; then one that only our signal ends."""
    program = """
import json, os, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
time.sleep([0, 0.2, 0.4, 60][index])
sys.exit([75, 1, 2][index])"""
    with Team([sys.executable, "-c", program], range(4), tmp_path, print) as team:
        causes = []
        for count in (1, 2, 3):
            while len(team.failed) < count:
                team.pump()
            causes.append(team.cause().code)
        team.end(signal.SIGTERM, 5, lambda: False)
        assert team.workers[3].was_ended and team.cause().code == 2
    assert causes == [75, 1, 2], "an input to mend before a death, a death before 'run me again'"


def test_end_waits_for_the_grace_unless_in_a_hurry(tmp_path):
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on'); time.sleep(60)"
    for hurry in (False, True):
        lines = []
        with Team([sys.executable, "-c", program], [1], tmp_path, lines.append) as team:
            while not lines:
                team.pump()
            pid = int(team.workers[0]._process.pid)
            assert alive(pid)
            team.end(signal.SIGTERM, 60 if hurry else 0.3, lambda hurry=hurry: hurry)
            assert team.workers[0].code == -signal.SIGKILL and wait_until(lambda pid=pid: not alive(pid))
