"""The machines of one job: found in the environment, joined within a time."""

import json
import os
import sys
import threading
from typing import TYPE_CHECKING

from kvision import checks
from kvision.exit_codes import RUN_AGAIN

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["from_environment", "join", "lost_peer"]

_JOIN_SECONDS = 120
_SLURM_PORT = 12345


def from_environment() -> dict | None:
    """TF_CONFIG's content, or the same made from a Slurm step; None where there is one process.

    {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": n}}. UserError for a TF_CONFIG that
    is not so.
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
        right = set(found["cluster"]) == {"worker"} and task["type"] == "worker" and 0 <= task["index"] < len(workers)
        right = right and len(set(workers)) == len(workers) and all(":" in worker for worker in workers)
    except (ValueError, KeyError, TypeError) as reason:
        raise checks.error("TF_CONFIG", expected=expected, received=text) from reason
    if not right:
        raise checks.error("TF_CONFIG", expected=expected, received=text)
    return found if len(workers) > 1 else None


def _slurm() -> dict:
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        {"worker": int(os.environ["SLURM_STEP_NUM_TASKS"])}, port_base=_SLURM_PORT, auto_set_gpu=False
    )
    workers = resolver.cluster_spec().as_dict()["worker"]
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": int(os.environ["SLURM_PROCID"])}}


def join() -> "tf.distribute.MultiWorkerMirroredStrategy":
    """Meets the other machines; ends the process with a message and RUN_AGAIN if they do not come in time."""
    import tensorflow as tf

    found = from_environment()
    assert found is not None
    os.environ["TF_CONFIG"] = json.dumps(found)
    workers, index = found["cluster"]["worker"], found["task"]["index"]
    seconds = float(os.environ.get("KVISION_JOIN_TIMEOUT", _JOIN_SECONDS))

    def give_up() -> None:
        # the constructor waits inside TensorFlow, where no exception reaches it
        others = ", ".join(worker for i, worker in enumerate(workers) if i != index)
        print(
            f"Worker {index} ({workers[index]}) waited {seconds:g} s and did not meet all of its peers: {others}. "
            "Expected each of them to run the same command, with the same TF_CONFIG but for its index, and to be "
            "reachable. KVISION_JOIN_TIMEOUT sets the seconds.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(RUN_AGAIN)

    watch = threading.Timer(seconds, give_up)
    watch.daemon = True
    watch.start()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        watch.cancel()


def lost_peer(problem: BaseException) -> bool:
    """Whether an exception says that another machine of this job is gone, so that all must start again."""
    if from_environment() is None:
        return False
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)
    return isinstance(problem, kinds)
