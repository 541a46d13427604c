"""One decision for all replicas inside a step."""

from collections.abc import Callable, Sequence

import keras

__all__ = ["if_finite"]


def if_finite(values: Sequence, then: Callable, otherwise: Callable) -> None:
    """Inside a replica on TensorFlow: calls then(values) if all values (gradients, a loss) of all replicas are finite.

    Else otherwise(flags): flags (len(values),) int64, 1 where some replica's value is not finite; None counts as
    finite. The decision is made where all replicas are seen: an update inside of a condition inside of one replica
    could not add up their gradients (as in `keras.optimizers.LossScaleOptimizer`).
    """
    import tensorflow as tf

    def broken(values):
        finite = [True if g is None else tf.reduce_all(tf.math.is_finite(g)) for g in values]
        return tf.cast(~tf.stack(finite), "int64")

    def decide(flags, on_finite: Callable, on_broken: Callable):
        keras.ops.cond(tf.reduce_sum(flags) == 0, on_finite, on_broken)

    if not tf.distribute.has_strategy():
        flags = broken(values)
        decide(flags, lambda: then(values), lambda: otherwise(flags))
        return

    def together(strategy, values):
        each = strategy.extended.call_for_each_replica(broken, args=(values,))
        flags = strategy.reduce("SUM", each, axis=None)
        decide(
            flags,
            lambda: strategy.extended.call_for_each_replica(then, args=(values,)),
            lambda: strategy.extended.call_for_each_replica(otherwise, args=(flags,)),
        )

    context = tf.distribute.get_replica_context()
    context.merge_call(together, args=(list(values),))
