import os
import subprocess

import pytest

from kvision.launching import slurm

RECIPE = ["transfer", "--data", "it's a folder"]


@pytest.fixture
def run(tmp_path):
    """Runs the script with programs in place of Slurm's, which write down how they were called."""
    calls = tmp_path / "calls"
    for name, status in (("srun", "$SRUN_STATUS"), ("scontrol", "0")):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\nexit {status}\n')
        program.chmod(0o755)

    def run(text: str, status: int, **variables: str) -> tuple[int, list[str]]:
        calls.unlink(missing_ok=True)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SRUN_STATUS": str(status)}
        environment |= {"SLURM_JOB_ID": "42", **variables}
        done = subprocess.run(["bash", "-u"], input=text, env=environment, capture_output=True, text=True, timeout=10)
        assert "unbound" not in done.stderr and "syntax" not in done.stderr
        return done.returncode, calls.read_text().splitlines()

    return run


def test_one_task_a_node_and_the_recipe_as_it_was(run):
    text = slurm.script(RECIPE, workers=4, restarts=3)
    for line in ("--nodes=4", "--ntasks=4", "--ntasks-per-node=1", "--requeue", "--signal=TERM@60"):
        assert f"\n#SBATCH {line}\n" in text
    code, (call,) = run(text, 0)
    assert code == 0 and call.startswith("srun --ntasks=4 --ntasks-per-node=1 --kill-on-bad-exit=1")
    assert call.endswith("kvision transfer --data it's a folder") and "cpus" not in call
    _, (call,) = run(text, 0, SLURM_CPUS_PER_TASK="16")
    assert " --cpus-per-task=16 " in call, "srun does not take it from sbatch"


@pytest.mark.parametrize(
    ("status", "count", "again"),
    [
        (75, "0", True),
        (75, "2", True),
        (75, "3", False),
        (137, "0", True),
        (1, "0", True),
        (2, "0", False),
        (130, "0", False),
        (0, "0", False),
    ],
)
def test_what_goes_back_into_the_queue(run, status, count, again):
    code, calls = run(slurm.script(RECIPE, workers=2, restarts=3), status, SLURM_RESTART_COUNT=count)
    assert code == status
    assert calls[1:] == (["scontrol requeue 42"] if again else [])


def test_the_first_run_has_no_restart_count(run):
    assert run(slurm.script(RECIPE, workers=2, restarts=1), 75)[1][1:] == ["scontrol requeue 42"]
    assert run(slurm.script(RECIPE, workers=2, restarts=0), 75)[1][1:] == []
