"""Which devices and machines train together: one `tf.distribute` strategy a process."""

import contextlib
from typing import TYPE_CHECKING, Any

import keras

from kvision import checks
from kvision.choices import STRATEGIES
from kvision.distribute import cluster

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "Single",
    "current",
    "is_chief",
    "local_replica_count",
    "pick_strategy",
    "replica_count",
    "replica_id",
    "worker_count",
]

_made: dict[str, Any] = {}  # a second strategy in one process meets the collectives of the first and fails


class Single:
    """No distribution: what `pick_strategy` gives on the backends jax and torch."""

    num_replicas_in_sync = 1

    def scope(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()


def pick_strategy(kind: "str | tf.distribute.Strategy" = "auto") -> "tf.distribute.Strategy | Single":
    """The strategy to train under; models are made inside its `scope()`.

    kind: "multiworker": the machines that the variable TF_CONFIG or a Slurm step names, each with all its GPUs (CPU
    without one); "mirrored": all GPUs of this machine, or all logical CPU devices; "single": no distribution; "auto":
    the first of these that has more than one member; or a `tf.distribute.Strategy`, which is returned. Call it before
    anything else uses TensorFlow where machines are involved. The same call again gives the same object.
    Raises UserError for another kind than this process has already, for a kind that finds no members, and on the
    backends jax and torch for anything but one process; a machine that cannot join its peers ends with an error and
    exit code 75 after KVISION_JOIN_TIMEOUT seconds (120).
    """
    if keras.backend.backend() != "tensorflow":
        if kind not in ("auto", "single"):
            raise checks.error(
                "strategy",
                expected="'auto' or 'single' on this backend: replicas and machines need TensorFlow",
                received=f"{kind!r} on {keras.backend.backend()}",
                hint="Set KERAS_BACKEND=tensorflow",
            )
        return Single()
    import tensorflow as tf

    if isinstance(kind, tf.distribute.Strategy):
        return kind
    if checks.one_of("strategy", kind, STRATEGIES) == "auto" and _made:
        return next(iter(_made.values()))
    kind = _resolve(kind)
    if kind not in _made:
        if _made:
            raise checks.error(
                "strategy",
                problem="is chosen once a process",
                expected=repr(next(iter(_made))),
                received=kind,
                hint="Start another process",
            )
        if kind == "single":
            return tf.distribute.get_strategy()  # TensorFlow's own, which does nothing
        _made[kind] = cluster.join() if kind == "multiworker" else tf.distribute.MirroredStrategy(_devices())
    return _made[kind]


def _resolve(kind: str) -> str:
    found = cluster.from_environment() if kind in ("auto", "multiworker") else None
    if kind == "multiworker" and found is None:
        raise checks.error(
            "strategy",
            problem="names several machines",
            expected="TF_CONFIG, or a Slurm step of several tasks, in the environment",
            received="neither",
            hint="Start it by `kvision launch --workers N -- ...`",
        )
    if kind == "mirrored" and len(_devices()) < 2:
        raise checks.error(
            "strategy", problem="needs several devices", expected="two GPUs or logical CPUs", received=_devices()
        )
    if kind != "auto":
        return kind
    if found is not None:
        return "multiworker"
    return "mirrored" if len(_gpus()) > 1 else "single"


def _gpus() -> list[str]:
    import tensorflow as tf

    return [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]


def _devices() -> list[str]:
    import tensorflow as tf

    return _gpus() or [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("CPU")]


def current() -> "tf.distribute.Strategy | Single":
    """The strategy whose scope is open, else the one that does nothing."""
    if keras.backend.backend() != "tensorflow":
        return Single()
    import tensorflow as tf

    return tf.distribute.get_strategy()


def replica_count() -> int:
    """Replicas over all machines of the open scope, or of the replica that asks; 1 without a strategy."""
    return current().num_replicas_in_sync


def replica_id():
    """The number of the replica that asks, among those of all machines: 0 to `replica_count()` - 1, an integer or a
    scalar tensor; 0 outside of one."""
    if replica_count() == 1:
        return 0
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def local_replica_count() -> int:
    """Replicas of this process in the open scope."""
    return max(replica_count() // worker_count(), 1)  # outside of the scope there is one replica, on any machine


def worker_count() -> int:
    """Processes that train together."""
    found = machines()
    return 1 if found is None else found.extended._num_workers


def is_chief() -> bool:
    """Whether this process is the one that writes: the first of a cluster, or the only one."""
    found = machines()
    return found is None or not found.cluster_resolver.task_id  # None without a cluster


def machines():
    """The strategy of several machines: the picked one, or a caller's own while its scope is open."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    kind = tf.distribute.MultiWorkerMirroredStrategy
    return next((each for each in [*_made.values(), current()] if isinstance(each, kind)), None)
