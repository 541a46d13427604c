import io
import signal
import subprocess
import sys
import time

import pytest

from kvision.commands import launch

KVISION = [sys.executable, "-m", "kvision", "launch"]


def run(*arguments: str, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run([*KVISION, *arguments], capture_output=True, text=True, cwd=cwd, timeout=100)


def test_the_recipe_runs_in_every_worker(tmp_path):
    result = run("--workers", "2", "--", "transfer", "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for index in range(2):
        own = [line for line in lines if line.startswith(f"[worker {index}] ")]
        assert any("usage: kvision transfer" in line for line in own)
        assert any("--train-per-class" in line for line in own)
    assert all(line.startswith("[worker ") for line in lines)
    (logs,) = tmp_path.glob("saved_models/launch/*")
    assert str(logs.relative_to(tmp_path)) in result.stderr
    assert "usage: kvision transfer" in (logs / "worker-1.log").read_text()


def test_a_wrong_flag_of_the_recipe_is_told_once_started_and_not_tried_again(tmp_path):
    result = run("--workers", "1", "--logs", str(tmp_path / "new" / "logs"), "--", "transfer", "--nonsense")
    assert result.returncode == 2 and "restart" in result.stderr
    assert "`--nonsense` is not a flag of this command" in (tmp_path / "new" / "logs" / "worker-0.log").read_text()


def test_ctrl_c(tmp_path):
    command = [*KVISION, "--workers", "2", "--logs", str(tmp_path), "--", "transfer", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "same command again" in err and "Traceback" not in err


def test_who_reads_may_leave(tmp_path):
    command = [*KVISION, "--workers", "2", "--logs", str(tmp_path), "--", "transfer", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 0 and "BrokenPipe" not in err
    assert all("--again" in (tmp_path / f"worker-{i}.log").read_text() for i in range(2))


def test_a_stream_that_knows_fewer_characters():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    launch._print("ü 1", stream)
    assert stream.buffer.getvalue() == b"? 1\n"


def test_hosts_prints_and_starts_nothing(tmp_path):
    result = run("--hosts", "a,b:99", "--", "transfer", "--data", "/all/see/this", cwd=tmp_path)
    assert result.returncode == 0 and not list(tmp_path.iterdir())
    commands = [line for line in result.stdout.splitlines() if line.startswith("TF_CONFIG=")]
    assert len(commands) == 2 and all(line.endswith(" kvision transfer --data /all/see/this") for line in commands)
    assert '"a:2222", "b:99"' in commands[0] and '"index": 1' in commands[1]


def test_slurm_prints_and_starts_nothing(tmp_path):
    result = run("--workers", "4", "--slurm", "--restarts", "9", "--", "transfer", "--smoke", cwd=tmp_path)
    assert result.returncode == 0 and not list(tmp_path.iterdir())
    assert result.stdout.startswith("#!/bin/bash\n") and "--nodes=4\n" in result.stdout
    assert "-lt 9 ]" in result.stdout and "kvision transfer --smoke\n" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["`--` has no recipe after it"]),
        ("--workers 2", ["`--` has no recipe after it", "kvision launch --workers 2 -- transfer"]),
        ("--workers 2 --", ["`--` has no recipe after it"]),
        ("--workers 2 transfer", ["`transfer` is not an argument of this command", "come after --"]),
        ("-- transfer", ["`--workers` is missing"]),
        ("--workers 0 -- transfer", ["`--workers`", "1 or more", "Received: 0"]),
        ("--workers two -- transfer", ["argument --workers: invalid int value: 'two'"]),
        ("--workers 2 -- trnsfer", ["`RECIPE` is not known", "Did you mean 'transfer'"]),
        ("--workers 2 -- predict a.tflite", ["`RECIPE` is a command", "one of: ", "transfer"]),
        ("--workers 2 -- launch", ["`RECIPE` is a command"]),
        ("--workers 2 -- --data x", ["`RECIPE` is not known"]),
        ("--workers 3 --hosts a,b -- transfer", ["`--workers`", "Received: 3"]),
        ("--hosts a,a -- transfer", ["`--hosts` names a:2222 twice"]),
        ("--hosts a,b --slurm -- transfer", ["`--hosts` and --slurm exclude each other"]),
        ("--workers 2 --restarts -1 -- transfer", ["`--restarts`", "0 or more"]),
        ("--workers 2 --grace nan -- transfer", ["`--grace`", "a positive number"]),
        ("--workers 2 --logs /dev/null -- transfer", ["`--logs`", "/dev/null"]),
        ("--workers 2 --logs /dev/null/below -- transfer", ["`--logs`", "/dev/null/below"]),
    ],
)
def test_wrong_calls_say_what_to_do_before_anything_starts(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    try:
        status = launch.main(arguments.split())
    except SystemExit as end:  # argparse's own
        status = end.code
    out, err = capsys.readouterr()
    assert status == 2 and out == "" and "[launch]" not in err and not list(tmp_path.iterdir())
    for word in words:
        assert word in err


def test_it_loads_nothing_heavy():
    code = (
        "import sys; from kvision.commands import launch; from kvision.launching import supervisor\n"
        "print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"
