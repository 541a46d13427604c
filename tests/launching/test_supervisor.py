import os
import re
import signal
import sys
import time

import pytest
from processes import alive, wait_until

FOREVER = "time.sleep(600)"
SAVES = """
def save(*_):
    (folder / f"saved-{index}").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
(folder / f"ready-{index}").touch()
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN);"


def test_all_finish(job):
    program = "print('hello'); print('trouble', file=sys.stderr); time.sleep(0.3 * index)"
    assert job.run(program, workers=3) == 0
    expected = [f"[worker {i}] {text}" for i in range(3) for text in ("hello", "trouble")]
    assert sorted(job.lines) == expected and job.told == []
    assert [(job.logs / f"worker-{i}.log").read_text() for i in range(3)] == ["hello\ntrouble\n"] * 3


def test_a_failure_starts_all_again_on_new_ports_so_many_times(job):
    started = time.monotonic()
    program = f"""
print("attempt", attempt)
(folder / f"said-{{index}}-{{attempt}}").touch()
if index == 0: {FOREVER}
while not (folder / f"said-0-{{attempt}}").exists(): time.sleep(0.01)
sys.exit(3)"""
    assert job.run(program, restarts=2, pause=0.2) == 3
    assert time.monotonic() - started >= 0.2 + 0.4
    begun = job.begun()
    assert len(begun) == 3 * 2
    clusters = {tuple(addresses) for _, addresses in begun}
    assert len(clusters) == 3 and len({address for cluster in clusters for address in cluster}) == 6
    assert "in 0.2 s (restart 1 of 2)" in job.told[0] and "0.4 s (restart 2 of 2)" in job.told[1]
    report = "worker 1 ended with exit status 3, after 2 restarts. Its last output:\n    attempt 2\n"
    assert job.told[2].startswith(report) and str(job.logs / "worker-1.log") in job.told[2]
    assert (job.logs / "worker-0.log").read_text() == "attempt 0\nattempt 1\nattempt 2\n", "a file holds all attempts"


def test_a_worker_killed_once_costs_one_restart(job):
    program = "if index == 1 and attempt == 0: os.kill(os.getpid(), 9)\nif attempt == 0: " + FOREVER
    assert job.run(program, restarts=3) == 0
    assert len(job.begun()) == 4 and len(job.told) == 1
    assert "worker 1 was killed by SIGKILL" in job.told[0]


def test_without_restarts_left_a_signal_counts_as_in_a_shell(job):
    assert job.run("if index == 0: os.kill(os.getpid(), 9)\n" + FOREVER) == 128 + 9


@pytest.mark.parametrize("code", [2, 130])
def test_what_a_restart_does_not_mend_is_final(job, code):
    assert job.run(f"if index: sys.exit({code})\n" + FOREVER, restarts=3) == code
    assert len(job.begun()) == 2 and len(job.told) == 1


def test_run_me_again_unasked_is_a_failure_that_restarts_mend(job):
    assert job.run("sys.exit(75 if attempt < 2 and index == 0 else 0)", restarts=2) == 0
    assert len(job.told) == 2


def test_run_me_again_for_ever_ends_with_75(job):
    assert job.run("sys.exit(75)", restarts=1) == 75


def test_one_may_finish_early_and_a_later_failure_counts(job):
    assert job.run("if index: time.sleep(0.4); sys.exit(5)") == 5


def test_the_report_names_the_cause_and_not_who_died_of_it(job):
    program = """
if index:
    while not (folder / "deaf").exists(): time.sleep(0.01)
    print("my peer is gone"); sys.exit(75)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
(folder / "deaf").touch()
print("ValueError: this", flush=True); time.sleep(0.5); sys.exit(1)"""
    assert job.run(program) == 1
    assert job.told[0].startswith("worker 0 ended with exit status 1") and "ValueError: this" in job.told[0]


def test_peers_of_a_dead_worker_may_still_write_and_who_does_not_end_is_killed(job):
    program = f"""
if index == 0:
    while len(list(folder.glob("ready-*"))) < 2: time.sleep(0.01)
    sys.exit(3)
if index == 1: {DEAF} (folder / "ready-1").touch(); {FOREVER}
{SAVES}
{FOREVER}"""
    started = time.monotonic()
    assert job.run(program, workers=3, grace=0.5) == 3
    assert 0.5 <= time.monotonic() - started < 5
    assert (job.folder / "saved-2").exists()


def test_what_a_worker_leaves_behind_goes_too_and_holds_nobody_up(job):
    program = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(folder / f"child-{index}").write_text(str(child.pid))
print("done")"""
    started = time.monotonic()
    assert job.run(program) == 0
    assert time.monotonic() - started < 5
    children = [int(path.read_text()) for path in job.folder.glob("child-*")]
    assert len(children) == 2 and wait_until(lambda: not [pid for pid in children if alive(pid)])


def test_much_output_arrives_whole_and_in_order(job):
    assert job.run("for i in range(20000): print(index, i)\nprint('no end', end='')") == 0
    for index in range(2):
        own = [line for line in job.lines if line.startswith(f"[worker {index}] ")]
        assert own == [f"[worker {index}] {index} {i}" for i in range(20000)] + [f"[worker {index}] no end"]
    assert len(job.lines) == 2 * 20001


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)], ids=lambda v: str(int(v))
)
def test_a_signal_to_the_launcher_ends_all_and_they_may_save(job, number, code):
    program = SAVES + "signal.signal(signal.SIGINT, save)\n" + FOREVER
    with job.launcher(program) as launcher:
        assert wait_until(lambda: len(list(job.folder.glob("ready-*"))) == 2)
        assert [os.getsid(pid) for pid in job.pids()] == job.pids(), "the terminal's signals do not reach them"
        launcher.send_signal(number)
        out, _ = launcher.communicate(timeout=20)
    assert launcher.returncode == code and len(list(job.folder.glob("saved-*"))) == 2
    assert "same command again" in out and "Traceback" not in out
    assert len(job.begun()) == 2, "nobody was started again"


def test_who_ignores_sigterm_is_killed_after_the_grace(job):
    with job.launcher(f"{DEAF} (folder / f'ready-{{index}}').touch(); {FOREVER}", grace=0.5) as launcher:
        assert wait_until(lambda: len(list(job.folder.glob("ready-*"))) == 2)
        started = time.monotonic()
        launcher.send_signal(signal.SIGTERM)
        launcher.communicate(timeout=20)
    assert launcher.returncode == 75 and 0.5 <= time.monotonic() - started < 5


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_does_not_wait(job, first):
    with job.launcher(f"{DEAF} (folder / f'ready-{{index}}').touch(); {FOREVER}", grace=60) as launcher:
        assert wait_until(lambda: len(list(job.folder.glob("ready-*"))) == 2)
        launcher.send_signal(first)
        assert "the workers have 60 s" in launcher.stdout.readline()
        assert all(alive(pid) for pid in job.pids()), "the first one waits"
        launcher.send_signal(signal.SIGINT)
        launcher.communicate(timeout=10)
    assert launcher.returncode == (130 if first == signal.SIGINT else 75)


def test_a_signal_ends_the_pause_before_a_restart(job):
    with job.launcher("sys.exit(3)", pause=60) as launcher:
        assert "in 60 s" in launcher.stdout.readline()
        launcher.send_signal(signal.SIGTERM)
        launcher.communicate(timeout=10)
    assert launcher.returncode == 75 and len(job.begun()) == 2


def test_below_nohup_the_end_of_the_terminal_stops_nothing(job):
    program = "(folder / f'ready-{index}').touch()\nwhile not (folder / 'go').exists(): time.sleep(0.01)"
    with job.launcher(program, prefix=["nohup"]) as launcher:
        assert wait_until(lambda: len(list(job.folder.glob("ready-*"))) == 2)
        launcher.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        (job.folder / "go").touch()
        launcher.communicate(timeout=20)
    assert launcher.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the parent death signal is Linux'")
def test_workers_of_a_launcher_that_was_killed_are_killed(job):
    with job.launcher(f"{DEAF} (folder / f'ready-{{index}}').touch(); {FOREVER}") as launcher:
        assert wait_until(lambda: len(list(job.folder.glob("ready-*"))) == 2)
        time.sleep(0.2)
        assert all(alive(pid) for pid in job.pids()), "they do not end by themselves"
        launcher.kill()
        assert wait_until(lambda: not [pid for pid in job.pids() if alive(pid)], seconds=5)


def test_handlers_come_back(job):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    job.run("pass")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


TENSORFLOW = """
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
replica = lambda x: tf.distribute.get_replica_context().all_reduce("sum", tf.identity(x))
total = tf.function(lambda x: strategy.run(replica, args=(x,)))
print("total", float(total(tf.constant(index + 1.0))), "of", strategy.num_replicas_in_sync, flush=True)
(folder / f"told-{attempt}-{index}").touch()
if attempt == 0:
    while not (folder / "told-0-0").exists(): time.sleep(0.01)  # else the peer may lose its sum with us
    if index == 1: os.kill(os.getpid(), signal.SIGKILL)
    for _ in range(600): total(tf.constant(1.0)); time.sleep(0.1)
"""


@pytest.mark.slow
@pytest.mark.multiworker
def test_tensorflows_workers_join_again_after_one_was_killed(job):
    assert job.run(TENSORFLOW, restarts=1) == 0, job.lines
    assert len(job.told) == 1 and re.match("worker 1 was killed by SIGKILL", job.told[0])
    totals = [line for line in job.lines if "total" in line]
    assert sorted(totals) == sorted(2 * [f"[worker {i}] total 3.0 of 2" for i in range(2)])
