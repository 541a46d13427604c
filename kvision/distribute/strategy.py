"""Picks the devices and machines that train together: one `tf.distribute` strategy per process."""

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

_made: dict[str, Any] = {}  # A second strategy in one process would use the collectives of the first one, and fail.


class Single:
    """A strategy without distribution, for the backends JAX and PyTorch."""

    num_replicas_in_sync = 1

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns a context manager that does nothing."""
        return contextlib.nullcontext()


def pick_strategy(strategy: "str | tf.distribute.Strategy" = "auto") -> "tf.distribute.Strategy | Single":
    """Returns the strategy to train under. Create models inside the `scope()` of this strategy.

    With several machines, call this function before any other use of TensorFlow. Further calls return the same object.
    If a machine cannot join the other machines within KVISION_JOIN_TIMEOUT seconds (120), its process ends with a
    message and exit code 75.

    Args:
        strategy: `"multiworker"` uses the machines that are listed in the variable TF_CONFIG or in a Slurm step. Each
            machine uses all its GPUs, or its CPU if it has no GPU. `"mirrored"` uses all GPUs of this machine, or all
            its logical CPU devices. `"single"` distributes nothing. `"auto"` is the first of these strategies with more
            than one device. A `tf.distribute.Strategy` is returned unchanged.

    Returns:
        The strategy.

    Raises:
        UserError: If the process already uses a different kind of strategy, or if no devices or machines are found for
            the strategy. On the backends JAX and PyTorch, if the strategy is not `"auto"` or `"single"`.

    Example:
        >>> strategy = kv.distribute.pick_strategy("single")
        >>> with strategy.scope():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> strategy.num_replicas_in_sync
        1
    """
    if keras.backend.backend() != "tensorflow":
        if strategy not in ("auto", "single"):
            raise checks.UserError(
                "strategy",
                expected="'auto' or 'single' on this backend: replicas and machines need TensorFlow",
                received=f"{strategy!r} on {keras.backend.backend()}",
                hint="Set KERAS_BACKEND=tensorflow",
            )
        return Single()
    import tensorflow as tf

    if isinstance(strategy, tf.distribute.Strategy):
        return strategy
    if checks.one_of("strategy", strategy, STRATEGIES) == "auto" and _made:
        return next(iter(_made.values()))
    kind = _resolve(strategy)
    if kind not in _made:
        if _made:
            raise checks.UserError(
                "strategy",
                problem="is chosen once in a process",
                expected=repr(next(iter(_made))),
                received=kind,
                hint="Start another process",
            )
        if kind == "single":
            return tf.distribute.get_strategy()  # TensorFlow's default strategy, which does nothing
        _made[kind] = cluster.join() if kind == "multiworker" else tf.distribute.MirroredStrategy(_devices())
    return _made[kind]


def _resolve(kind: str) -> str:
    found = cluster.from_environment() if kind in ("auto", "multiworker") else None
    if kind == "multiworker" and found is None:
        raise checks.UserError(
            "strategy",
            problem="needs several machines",
            expected="TF_CONFIG, or a Slurm step of several tasks, in the environment",
            received="neither",
            hint="Start it by `kvision launch --workers N -- ...`",
        )
    if kind == "mirrored" and len(_devices()) < 2:
        raise checks.UserError(
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
    """Returns the strategy of the open scope. If no scope is open, returns the default strategy, which does nothing."""
    if keras.backend.backend() != "tensorflow":
        return Single()
    import tensorflow as tf

    return tf.distribute.get_strategy()


def replica_count() -> int:
    """Returns the number of replicas of the open scope on all machines.

    Returns:
        The number of replicas. It is 1 without a strategy.

    Example:
        >>> kv.distribute.replica_count()
        1
    """
    return current().num_replicas_in_sync


def replica_id():
    """Returns the number of the replica that calls this function, among the replicas of all machines.

    Returns:
        0 to `replica_count()` - 1, as an integer or a scalar tensor. 0 outside a replica.

    Example:
        >>> kv.distribute.replica_id()
        0
    """
    if replica_count() == 1:
        return 0
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def local_replica_count() -> int:
    """Returns the number of replicas of this process in the open scope."""
    return max(replica_count() // worker_count(), 1)  # Outside the scope each machine has one replica.


def worker_count() -> int:
    """Returns the number of processes that train together."""
    found = machines()
    return 1 if found is None else found.extended._num_workers


def is_chief() -> bool:
    """Returns whether this process is the chief, which is the first of several workers, or the only process.

    Only the chief writes files.

    Returns:
        True if this process is the chief.

    Example:
        >>> kv.distribute.is_chief()
        True
    """
    found = machines()
    return found is None or not found.cluster_resolver.task_id  # the task_id is None without a cluster


def machines():
    """Returns the strategy of several machines (the picked one, or a user's in its open scope), or None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    kind = tf.distribute.MultiWorkerMirroredStrategy
    return next((each for each in [*_made.values(), current()] if isinstance(each, kind)), None)
