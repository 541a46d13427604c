"""The batch script that runs a job under Slurm, with one worker on each node."""

import shlex
from collections.abc import Sequence

from kvision import exit_codes

__all__ = ["script"]

_SCRIPT = """#!/bin/bash
# One worker on each node. Submit it with `sbatch FILE`. Every node must see the present folder, --data and --out.
#SBATCH --job-name=kvision-{name}
#SBATCH --nodes={workers}
#SBATCH --ntasks={workers}
#SBATCH --ntasks-per-node=1
#SBATCH --output=kvision-{name}-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=TERM@60
# Other options that your cluster may need. Remove the first # of a line to use it.
##SBATCH --partition=NAME
##SBATCH --time=24:00:00
##SBATCH --cpus-per-task=16
##SBATCH --gpus-per-node=1

# 60 s before the end of the time limit the workers get SIGTERM, write a checkpoint and end with {again}. Slurm does not
# requeue a job for that, so this script does, at most {restarts} times (--restarts of `kvision launch`). A job that
# ended with an input error ({user_error}) or Ctrl-C ({interrupted}) is not requeued.
srun --ntasks={workers} --ntasks-per-node=1 ${{SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}} \\
    --kill-on-bad-exit=1 --wait=0 --label \\
    {command}
code=$?
case "$code" in 0 | {user_error} | {interrupted}) exit "$code" ;; esac
if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then
    echo "srun ended with $code: the job is requeued (${{SLURM_RESTART_COUNT:-0}} times before)" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def script(recipe: Sequence[str], *, workers: int, restarts: int) -> str:
    """Returns the text of a script for `sbatch`.

    The script contains no addresses. The workers get the addresses from the variables SLURM_*, which `srun` sets.

    Args:
        recipe: Name of the recipe, then its flags.
        workers: Number of nodes.
        restarts: Number of times that the job is requeued.
    """
    return _SCRIPT.format(
        name=recipe[0],
        workers=workers,
        restarts=restarts,
        command=shlex.join(["kvision", *recipe]),
        again=exit_codes.RUN_AGAIN,
        user_error=exit_codes.USER_ERROR,
        interrupted=exit_codes.INTERRUPTED,
    )
