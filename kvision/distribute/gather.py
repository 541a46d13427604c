"""Tensors of all replicas together."""

from keras import ops

from kvision.distribute import strategy

__all__ = ["gather_replicas"]


def gather_replicas(x):
    """Rows of all replicas, in their order: (B, ...) -> (replicas * B, ...), on every replica, with gradients.

    Every replica must bring the same B. Outside of a replica, and with one replica, x itself. The gradient is summed
    over the replicas, so that a loss that each divides by their number has the gradient of one device.
    """
    if strategy.replica_count() == 1:
        return x
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # Keras builds a model symbolically in no replica
        return x
    # a copy has a device, which what comes from the data has not
    return context.all_gather(tf.identity(ops.convert_to_tensor(x)), axis=0)
