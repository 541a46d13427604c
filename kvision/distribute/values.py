"""Numbers in and out of variables that live on several devices, and agreement between machines."""

import keras
import numpy as np

from kvision import checks
from kvision.distribute import strategy

__all__ = ["agree", "barrier", "read", "write"]


def read(variable: keras.Variable) -> np.ndarray:
    """The value as an array: of the first replica, or, for a metric's sums, of all of them."""
    if keras.backend.backend() != "tensorflow" or strategy.replica_count() == 1:
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
    if strategy.worker_count() == 1:
        return
    import tensorflow as tf

    cluster = strategy.pick_strategy("multiworker")

    @tf.function
    def gather():
        return cluster.run(
            lambda: tf.distribute.get_replica_context().all_gather(tf.constant([value], tf.int64), axis=0)
        )

    values = cluster.experimental_local_results(gather())[0].numpy().tolist()
    if len(set(values)) > 1:
        raise checks.error(
            what,
            problem="differs between the machines",
            expected="one value on all",
            received=values,
            hint="Give all of them the same --out and --data, on a folder that they share",
        )
