"""TensorFlow's kernels that do at once what takes `keras.ops` many operations; on other backends there are none."""

import keras

__all__ = ["adam", "has_adam", "has_normalize", "normalize", "normalize_by"]

_MAPS = ("float32", "float16", "bfloat16")


def has_normalize(dtype: str, *, training: bool) -> bool:
    """Returns whether `normalize` (in training) or `normalize_by` exists for maps of this type, and is right.

    XLA compiles the training kernel with the variance E[x^2] - E[x]^2, which is negative for N(100, 0.01). Where a
    gradient may be taken, `normalize_by` is not offered: the gradient of its kernel takes longer than that of Keras'
    operations, since it computes those of scale and offset too, and a GPU has none that is deterministic.
    """
    if keras.backend.backend() != "tensorflow" or dtype not in _MAPS:
        return False
    import tensorflow as tf
    from tensorflow.python.eager.record import could_possibly_record  # nothing public tells this, nor the next
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    if not training:
        return not could_possibly_record()
    return not (tf.inside_function() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def normalize(x, scale, offset, epsilon: float):
    """Batch normalization by the statistics of the batch, in one kernel.

    Args:
        x: Maps `(B, H, W, C)`, float32 or half precision; the kernel computes in float32.
        scale: Factors `(C,)`, float32.
        offset: Summands `(C,)`, float32.
        epsilon: Added to the variance.

    Returns:
        Maps of the shape and type of `x`, their mean `(C,)` and their variance `(C,)`, which is divided by B * H * W;
        both float32.
    """
    import tensorflow as tf

    zeros = tf.zeros_like(scale)  # the kernel does not read them in training
    maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=zeros, variance=zeros, epsilon=epsilon
    )
    count = tf.cast(tf.reduce_prod(tf.shape(x, out_type=tf.int64)[:3]), "float32")
    return maps, mean, tf.where(count > 1, variance * ((count - 1) / count), 0.0)  # the kernel divides by one less


def normalize_by(x, scale, offset, mean, variance, epsilon: float):
    """Batch normalization by given statistics, in one kernel.

    Args:
        x: Maps `(B, H, W, C)`, float32 or half precision; the kernel computes in float32.
        scale: Factors `(C,)`, float32.
        offset: Summands `(C,)`, float32.
        mean: Means `(C,)`, float32.
        variance: Variances `(C,)`, float32.
        epsilon: Added to the variance.

    Returns:
        Maps of the shape and type of `x`.
    """
    import tensorflow as tf

    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    )[0]


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
