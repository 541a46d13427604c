"""TensorFlow's kernels that do at once what takes `keras.ops` many operations; on other backends there are none."""

import keras

__all__ = ["adam", "has_adam", "has_normalize", "normalize"]


def has_normalize() -> bool:
    """Whether `normalize` is there, and right: what XLA compiles takes the variance as E[x^2] - E[x]^2, which is
    negative for N(100, 0.01)."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext  # nothing public tells

    return not (tf.inside_function() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def normalize(x, scale, offset, epsilon: float):
    """Batch normalization: maps (B, H, W, C) float32, scale and offset (C,) float32 -> maps of the same shape, their
    mean (C,) and variance (C,), which is divided by B * H * W."""
    import tensorflow as tf

    zeros = tf.zeros_like(scale)  # not looked at in training
    maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=zeros, variance=zeros, epsilon=epsilon
    )
    count = tf.cast(tf.reduce_prod(tf.shape(x, out_type=tf.int64)[:3]), "float32")
    return maps, mean, tf.where(count > 1, variance * ((count - 1) / count), 0.0)  # the kernel divides by one less


def has_adam(gradient, variable) -> bool:
    """Whether `adam` is there: for dense gradients, and not for halves, of which it would take 1 - beta_2 for 0."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return variable.dtype in (tf.float32, tf.float64) and not isinstance(gradient, tf.IndexedSlices)


def adam(variable, m, v, gradient, rate, beta_1: float, beta_2: float, epsilon: float) -> None:
    """Adam's update of a `tf.Variable` and its two moments by a rate whose bias is corrected already: less to trace,
    and each number is read and written once."""
    import tensorflow as tf

    kind = variable.dtype
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=m.handle,
        v=v.handle,
        beta1_power=tf.zeros((), kind),  # nothing to correct
        beta2_power=tf.zeros((), kind),
        lr=rate,
        beta1=tf.constant(beta_1, kind),
        beta2=tf.constant(beta_2, kind),
        epsilon=tf.constant(epsilon, kind),
        grad=tf.cast(gradient, kind),
    )
