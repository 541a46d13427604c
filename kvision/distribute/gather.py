"""Gathers tensors from all replicas."""

from keras import ops

from kvision.distribute import strategy

__all__ = ["gather_replicas"]


def gather_replicas(x):
    """Gathers the rows of all replicas, on every replica.

    Gradients flow back through this function and are summed over the replicas. If each replica divides its loss by the
    number of replicas, the gradient is the same as on one device. If the loss of a method compares examples, the method
    uses this function to see the global batch.

    Args:
        x: `(batch, ...)`, with the same batch size on every replica.

    Returns:
        `(replicas * batch, ...)`, in the order of the replicas. With one replica, or outside a replica, the result is
        `x` itself.

    Example:
        >>> kv.distribute.gather_replicas(np.ones((2, 3))).shape
        (2, 3)
    """
    if strategy.replica_count() == 1:
        return x
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # Keras builds a model symbolically outside of replicas.
        return x
    # `tf.identity` makes a copy with a device. A tensor from the data has no device.
    return context.all_gather(tf.identity(ops.convert_to_tensor(x)), axis=0)
