"""Reads and writes variables that are on several devices, and lets machines agree on values."""

import functools

import keras
import numpy as np

from kvision import checks
from kvision.distribute import strategy

__all__ = ["agree", "anyone", "barrier", "read", "write"]


def read(variable) -> np.ndarray:
    """Returns a variable or tensor of the first replica as an array. Sums of a metric are added over all replicas."""
    alone = keras.backend.backend() != "tensorflow" or strategy.replica_count() == 1
    if alone or not isinstance(variable, keras.Variable):  # the learning rate of a schedule is a tensor
        return np.array(keras.ops.convert_to_numpy(variable))
    import tensorflow as tf

    if variable.synchronization == "on_read" and variable.aggregation == "sum":
        return variable.value.read_value().numpy()
    return tf.distribute.get_strategy().experimental_local_results(variable.value)[0].numpy()


def write(variable: keras.Variable, value: np.ndarray) -> None:
    """Assigns a value on every replica. For the sums of a metric, the parts on the replicas add up to the value."""
    variable.assign(value)


def barrier() -> None:
    """Returns when every machine has called this function."""
    agree("barrier", 0)


def agree(argument: str, value: int) -> None:
    """Raises `UserError` on every machine if the machines do not all pass the same integer for `argument`."""
    values = _of_all(value)
    if len(set(values)) > 1:
        raise checks.UserError(
            argument,
            problem="differs between the machines",
            expected="one value on all",
            received=values,
            hint="Start all machines with the same arguments, and with folders that they share",
        )


def anyone(said: bool) -> bool:
    """Returns whether any machine passes True. All machines must call this function at the same place."""
    return any(_of_all(int(said)))


def _of_all(value: int) -> list[int]:
    """Returns the integers of all machines, each repeated once per replica."""
    if strategy.worker_count() == 1:
        return [value]
    import tensorflow as tf

    machines = strategy.machines()
    gathered = _gather(machines)(tf.constant([value], tf.int64))
    return machines.experimental_local_results(gathered)[0].numpy().tolist()


@functools.cache
def _gather(machines):
    import tensorflow as tf

    def each(value):  # This makes a copy on the replica's own device.
        return tf.distribute.get_replica_context().all_gather(tf.identity(value), axis=0)

    @tf.function(autograph=False)
    def gather(value):
        return machines.run(each, args=(value,))

    return gather
