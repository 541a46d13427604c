"""Numbers in and out of variables that live on several devices, and agreement between machines."""

import functools

import keras
import numpy as np

from kvision import checks
from kvision.distribute import strategy

__all__ = ["agree", "anyone", "barrier", "read", "write"]


def read(variable) -> np.ndarray:
    """A variable's or tensor's value as an array: of the first replica, or, for a metric's sums, of all of them."""
    alone = keras.backend.backend() != "tensorflow" or strategy.replica_count() == 1
    if alone or not isinstance(variable, keras.Variable):  # the rate of a schedule is a tensor
        return np.array(keras.ops.convert_to_numpy(variable))
    import tensorflow as tf

    if variable.synchronization == "on_read" and variable.aggregation == "sum":
        return variable.value.read_value().numpy()
    return tf.distribute.get_strategy().experimental_local_results(variable.value)[0].numpy()


def write(variable: keras.Variable, value: np.ndarray) -> None:
    """Gives every replica the value; the parts of a metric's sums add up to it."""
    variable.assign(value)


def barrier() -> None:
    """Returns when every machine has come here."""
    agree("barrier", 0)


def agree(what: str, value: int) -> None:
    """UserError on every machine if they do not all bring the same integer. what: a phrase for the message."""
    values = _of_all(value)
    if len(set(values)) > 1:
        raise checks.error(
            what,
            problem="differs between the machines",
            expected="one value on all",
            received=values,
            hint="Give all of them the same --out and --data, on a folder that they share",
        )


def anyone(says: bool) -> bool:
    """Whether some machine says so. All must ask at the same place."""
    return any(_of_all(int(says)))


def _of_all(value: int) -> list[int]:
    """What each machine brings; a number that several replicas of a machine bring comes several times."""
    if strategy.worker_count() == 1:
        return [value]
    import tensorflow as tf

    machines = strategy.machines()
    gathered = _gather(machines)(tf.constant([value], tf.int64))
    return machines.experimental_local_results(gathered)[0].numpy().tolist()


@functools.cache
def _gather(machines):
    import tensorflow as tf

    def each(value):  # on a device of the replica's own
        return tf.distribute.get_replica_context().all_gather(tf.identity(value), axis=0)

    @tf.function(autograph=False)
    def gather(value):
        return machines.run(each, args=(value,))

    return gather
