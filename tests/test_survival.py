"""Trainings that are killed, and started again by the same command, end bit-identical to one that was not."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import forks
import pytest

CODE = """
import os, sys, time
import keras, tensorflow as tf
import kvision as kv
import trainings

tf.config.experimental.enable_op_determinism()
# a trace takes longer than these steps; graphs are resumed in tests/training/test_resume.py
keras.Model.run_eagerly = property(lambda self: True, lambda self, value: None)

class Tell(keras.callbacks.Callback):
    def __init__(self, name):
        super().__init__()
        self._name = name
    def on_train_batch_end(self, batch, logs=None):
        print("STEP", self._name, batch, flush=True)
        time.sleep(0.02)
    def on_epoch_end(self, epoch, logs=None):
        print("EPOCH", self._name, epoch, flush=True)

def options(name):
    folder = os.path.join(sys.argv[1], name)
    return {"checkpoints": kv.training.Resume(folder, every=2), "callbacks": [Tell(name)]}

keras.utils.set_random_seed(0)
# two phases, moving statistics, dropout; then noise, a queue and a momentum twin
tuned = trainings.fine_tuned(kv.training.Adam(), epochs=3, dropout=0.3, **options("tuned"))
contrast = trainings.contrast(keras.optimizers.Adam(), epochs=2, noise=0.5, **options("contrast"))
print("SUM", trainings.checksum(tuned), trainings.checksum(contrast), flush=True)
"""
SECONDS = 240


def ends_in(seconds: float, process: subprocess.Popen) -> None:
    """Nothing hangs for longer."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True  # a test that is done does not wait for it
    timer.start()


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(folder)]
    return forks.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(folder: Path) -> str:
    out, err = start(folder).communicate(timeout=SECONDS)
    assert "SUM" in out, err[-2000:]
    return re.findall("SUM (.*)", out)[0]


def struck(folder: Path, when: str, sig: int = signal.SIGKILL) -> int:
    """Starts the training, and sends it a signal at the first line that matches, or ("write") amid a checkpoint."""
    process = start(folder)
    ends_in(SECONDS, process)
    assert process.stdout is not None
    if when == "write":
        while process.poll() is None and not list(folder.rglob(".partial-*")):
            time.sleep(0.0002)
        process.send_signal(sig)
    for line in process.stdout:
        if when != "write" and re.search(when, line):
            process.send_signal(sig)
            break
    process.communicate()
    return process.returncode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> str:
    return finished(tmp_path_factory.mktemp("uninterrupted"))


def test_killed_in_a_step_in_a_write_and_preempted(uninterrupted, tmp_path):
    assert struck(tmp_path, "STEP tuned 3") == -signal.SIGKILL
    assert struck(tmp_path, "write") == -signal.SIGKILL
    assert struck(tmp_path, "STEP contrast 2", signal.SIGTERM) == 75
    assert sorted(path.name for path in (tmp_path / "contrast").glob("0*"))[-1] == "000-000000-00000003.npz"
    assert finished(tmp_path) == uninterrupted
    assert len(list(tmp_path.rglob("0*.npz"))) == 4, "the last two of each"


@pytest.mark.slow
def test_control_another_order_or_seed_is_another_sum(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "CODE", CODE.replace("set_random_seed(0)", "set_random_seed(1)"))
    assert finished(tmp_path) != uninterrupted


@pytest.mark.slow
def test_twenty_random_strikes(uninterrupted, tmp_path):
    chance = random.Random(0)
    whens = ["write", *(f"STEP {name} {step}" for name in ("tuned", "contrast") for step in range(5)), "EPOCH"]
    for strike in range(20):
        folder = tmp_path / str(strike // 5)  # a training that is struck five times
        struck(folder, chance.choice(whens), chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        if strike % 5 == 4:
            assert finished(folder) == uninterrupted


def launched(out: Path, victims: list[int]) -> tuple[str, str]:
    """The recipe in two processes, one of which is killed at an epoch's end, for each of `victims`.

    Returns:
        The checksum of the trained weights, and what was printed.
    """
    command = [sys.executable, "-m", "kvision", "launch", "--workers", "2", "--restarts", str(len(victims))]
    command += ["--logs", str(out / "logs"), "--", "transfer", "--smoke", "--heads", "finetune", "--epochs", "2"]
    command += ["--backbone", "AlexNet", "--weights", "none", "--image-size", "67"]
    command += ["--deterministic", "--out", str(out)]
    process = forks.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ends_in(2 * SECONDS, process)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if victims and re.search(r"val_accuracy", line):  # an epoch's end
            os.kill(worker(process.pid, victims.pop(0)), signal.SIGKILL)
    assert process.wait() == 0 and not victims, "".join(lines[-30:])
    (report,) = out.glob("runs/*/report.json")
    return json.loads(report.read_text())["checksum"], "".join(lines)


def worker(launcher: int, index: int) -> int:
    """The process of worker `index`, below the launcher."""
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            found = entry.read_bytes()
            parents = (entry.parent / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if b'"index": %d' % index in found and int(parents[1]) == launcher:
            return int(entry.parent.name)
    raise AssertionError(f"worker {index} is not there")


@pytest.mark.multiworker
def test_a_worker_is_killed_and_the_job_goes_on_after_the_epoch(tmp_path):
    _, printed = launched(tmp_path, [0])
    assert printed.count(" - val_accuracy: ") == 2, "each epoch is trained once"


@pytest.mark.slow  # one process ends at the same sum above
@pytest.mark.multiworker
@pytest.mark.parametrize("victims", [(0,), (1, 1)], ids=len)
def test_a_worker_is_killed_and_the_checksum_is_the_same(victims, tmp_path):
    assert launched(tmp_path / "struck", list(victims))[0] == launched(tmp_path / "uninterrupted", [])[0]
