"""The batch script with which Slurm runs a job, one worker a node, and queues it again when it must go on."""

import shlex
from collections.abc import Sequence

from kvision import exit_codes

__all__ = ["script"]

_SCRIPT = """#!/bin/bash
# One worker a node. Send it off with `sbatch FILE`, from a folder that every node sees; so must be --data and --out.
#SBATCH --job-name=kvision-{name}
#SBATCH --nodes={workers}
#SBATCH --ntasks={workers}
#SBATCH --ntasks-per-node=1
#SBATCH --output=kvision-{name}-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=TERM@60
# What your cluster wants besides; remove the first # of a line to use it:
##SBATCH --partition=NAME
##SBATCH --time=24:00:00
##SBATCH --cpus-per-task=16
##SBATCH --gpus-per-node=1

# 60 s before the time is over the workers get SIGTERM, write a checkpoint and end with {again}. Slurm puts nobody back
# into the queue for that by itself: this script does, as often as --restarts of `kvision launch` said ({restarts}).
# An input that you can mend ({mend}) and Ctrl-C ({interrupted}) go back never.
srun --ntasks={workers} --ntasks-per-node=1 ${{SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}} \\
    --kill-on-bad-exit=1 --wait=0 --label \\
    {command}
code=$?
case "$code" in 0 | {mend} | {interrupted}) exit "$code" ;; esac
if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then
    echo "srun ended with $code: back into the queue (${{SLURM_RESTART_COUNT:-0}} times before)" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def script(recipe: Sequence[str], *, workers: int, restarts: int) -> str:
    """Text of an sbatch script for `recipe` (its name, then its flags) on `workers` nodes.

    The addresses are not in it: the workers take them from the SLURM_* variables that srun sets.
    """
    return _SCRIPT.format(
        name=recipe[0],
        workers=workers,
        restarts=restarts,
        command=shlex.join(["kvision", *recipe]),
        again=exit_codes.RUN_AGAIN,
        mend=exit_codes.USER_ERROR,
        interrupted=exit_codes.INTERRUPTED,
    )
