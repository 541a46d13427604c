"""One decision for all replicas inside a step."""

from collections.abc import Callable, Sequence

import keras

__all__ = ["if_finite"]


def if_finite(gradients: Sequence, then: Callable, otherwise: Callable) -> None:
    """Inside a replica on TensorFlow: calls then(gradients) if all gradients of all replicas are finite.

    Else otherwise(flags): flags (len(gradients),) int32, 1 where some replica's gradient is not finite; None counts as
    finite. The decision is made where all replicas are seen: an update inside of a condition inside of one replica
    could not add up their gradients (as in `keras.optimizers.LossScaleOptimizer`).
    """
    import tensorflow as tf

    def broken(gradients):
        return tf.stack(
            [tf.constant(0) if g is None else tf.cast(~tf.reduce_all(tf.math.is_finite(g)), "int32") for g in gradients]
        )

    def decide(flags, on_finite: Callable, on_broken: Callable):
        keras.ops.cond(tf.reduce_sum(flags) == 0, on_finite, on_broken)

    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        flags = broken(gradients)
        decide(flags, lambda: then(gradients), lambda: otherwise(flags))
        return

    def together(strategy, gradients):
        each = strategy.extended.call_for_each_replica(broken, args=(gradients,))
        flags = strategy.reduce("SUM", each, axis=None)
        decide(
            flags,
            lambda: strategy.extended.call_for_each_replica(then, args=(gradients,)),
            lambda: strategy.extended.call_for_each_replica(otherwise, args=(flags,)),
        )

    context = tf.distribute.get_replica_context()
    context.merge_call(together, args=(list(gradients),))
