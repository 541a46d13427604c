"""Makes one decision for all replicas inside a step."""

from collections.abc import Callable, Sequence

import keras

__all__ = ["if_finite"]


def if_finite(values: Sequence, then: Callable, otherwise: Callable) -> None:
    """Calls one of two functions on all replicas. Call it inside a replica on TensorFlow.

    The decision is made in the context of all replicas. An update inside a condition of one replica could not sum the
    gradients of all replicas (see `keras.optimizers.LossScaleOptimizer`).

    Args:
        values: Gradients and losses. None counts as finite.
        then: A function. It is called with the values if all values of all replicas are finite.
        otherwise: A function. It is called if a value is not finite. It gets one int64 flag per value: 1 if this value
            is not finite on some replica, else 0.
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
