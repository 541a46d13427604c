"""Finds the machines of one job in the environment, and joins them within a time limit."""

import itertools
import json
import os
import re
import sys
from typing import TYPE_CHECKING

from kvision import checks
from kvision.distribute import rendezvous
from kvision.exit_codes import RUN_AGAIN

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["from_environment", "join", "lost_peer"]

_JOIN_SECONDS = 120
# Each job has its own ports, for sixteen processes per node, because several jobs may share a node. The ports are below
# the ports that operating systems assign (from 32768).
_SLURM_PORTS, _EACH = range(20_000, 30_000), 16


def from_environment() -> dict | None:
    """Finds the machines of this job: in TF_CONFIG, or in a Slurm step.

    Returns:
        The content of TF_CONFIG, `{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": n}}`,
        or the same content built from the Slurm step. None if there is only one process.

    Raises:
        UserError: If TF_CONFIG does not have this form, or the processes of the Slurm step are not numbered node by
            node.
    """
    if text := os.environ.get("TF_CONFIG"):
        return _checked(text)
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in os.environ:
        return _slurm()
    return None


def _checked(text: str) -> dict | None:
    expected = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": n}}'
    try:
        found = json.loads(text)
        workers, task = found["cluster"]["worker"], found["task"]
        index = task["index"]
        right = set(found["cluster"]) == {"worker"} and task["type"] == "worker" and isinstance(workers, list)
        right = right and type(index) is int and 0 <= index < len(workers)
        right = right and len(set(workers)) == len(workers) and all(":" in worker for worker in workers)
    except (ValueError, KeyError, TypeError, RecursionError) as reason:
        raise checks.UserError("TF_CONFIG", expected=expected, received=text) from reason
    if not right:
        raise checks.UserError("TF_CONFIG", expected=expected, received=text)
    return found if len(workers) > 1 else None


def _slurm() -> dict:
    """Returns the machines of a Slurm step, from the variables that srun sets."""
    # TensorFlow's `SlurmClusterResolver` fails on nodes without GPUs. It also puts node10 before node9, which is not
    # the order of Slurm.
    names = ("STEP_NODELIST", "STEP_TASKS_PER_NODE", "STEP_NUM_TASKS", "PROCID")
    found = {name: os.environ.get(f"SLURM_{name}", "") for name in names}
    try:
        hosts, tasks = _hosts(found["STEP_NODELIST"]), _counts(found["STEP_TASKS_PER_NODE"])
        nodes = list(zip(hosts, tasks, strict=True))
        first = _SLURM_PORTS[int(os.environ.get("SLURM_JOB_ID", "0")) * _EACH % len(_SLURM_PORTS)]
        workers = [f"{host}:{first + i}" for host, count in nodes for i in range(count)]
        index = int(found["PROCID"])
        right = len(workers) == int(found["STEP_NUM_TASKS"]) and 0 <= index < len(workers)
        node, local = os.environ.get("SLURM_NODEID"), os.environ.get("SLURM_LOCALID")
        if right and node and local:
            right = workers[index] == f"{hosts[int(node)]}:{first + int(local)}"
    except (ValueError, IndexError):
        right, workers, index = False, [], 0
    if not right:
        raise checks.UserError(
            "SLURM_STEP_NODELIST",
            problem="and the variables beside it name no step of Slurm",
            expected="a step of srun whose tasks are numbered node by node (--distribution=block, the default)",
            received=found,
            hint="Or set TF_CONFIG, which is used instead",
        )
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}


def _hosts(text: str) -> list[str]:
    """Expands Slurm's "n[1-2,07],gpu3" to n1, n2, n07, gpu3."""

    def expanded(ranges: str) -> list[str]:
        found = []
        for each in ranges.split(","):
            first, _, last = each.partition("-")
            found += [str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)]
        return found

    hosts = []
    for name in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", text):
        pieces = re.split(r"\[([^\]]*)\]", name)  # every second piece was inside brackets
        options = [expanded(piece) if i % 2 else [piece] for i, piece in enumerate(pieces)]
        hosts += ["".join(choice) for choice in itertools.product(*options)]
    return hosts


def _counts(text: str) -> list[int]:
    """Expands Slurm's "2(x3),1" to 2, 2, 2, 1."""
    found = []
    for each in text.split(","):
        count, _, times = each.partition("(x")
        found += [int(count)] * int(times.removesuffix(")") or 1)
    return found


def join() -> "tf.distribute.MultiWorkerMirroredStrategy":
    """Joins the other machines. If they do not come in time, prints a message and exits with `RUN_AGAIN`."""
    import tensorflow as tf

    found = from_environment()
    assert found is not None
    os.environ["TF_CONFIG"] = json.dumps(found)
    workers, index = found["cluster"]["worker"], found["task"]["index"]
    seconds = float(os.environ.get("KVISION_JOIN_TIMEOUT", _JOIN_SECONDS))
    if absent := rendezvous.missing(workers, index, seconds):
        print(
            f"Worker {index} ({workers[index]}) waited {seconds:g} s and did not meet all of its peers: "
            f"{', '.join(absent)}. Expected each of them to run the same command, with the same TF_CONFIG but for its "
            "index, and to be reachable. KVISION_JOIN_TIMEOUT sets the seconds.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(RUN_AGAIN)
    return tf.distribute.MultiWorkerMirroredStrategy()


def lost_peer(problem: BaseException) -> bool:
    """Returns whether an exception means that a machine of this job is lost, so that all machines must start again."""
    if from_environment() is None:
        return False
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)
    return isinstance(problem, kinds)
