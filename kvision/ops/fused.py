"""TensorFlow kernels that replace many operations of `keras.ops` by one operation."""

import keras

__all__ = ["adam", "has_adam", "has_normalize", "normalize", "normalize_by"]

_MAPS = ("float32", "float16", "bfloat16")


def has_normalize(dtype: str, *, training: bool) -> bool:
    """Returns whether `normalize` (in training) or `normalize_by` exists for maps of this type and is correct.

    XLA compiles the training kernel with the variance E[x^2] - E[x]^2, which is negative for N(100, 0.01).
    `normalize_by` is not used if a gradient may be computed. The gradient of its kernel takes longer than the gradient
    of Keras' operations, because it also computes the gradients of scale and offset. On a GPU this gradient has no
    deterministic version.
    """
    if keras.backend.backend() != "tensorflow" or dtype not in _MAPS:
        return False
    import tensorflow as tf
    from tensorflow.python.eager.record import could_possibly_record  # neither function is public
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    if not training:
        return not could_possibly_record()
    return not (tf.inside_function() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def normalize(x, scale, offset, epsilon: float):
    """Applies batch normalization with the statistics of the batch, in one kernel.

    Args:
        x: Maps `(B, H, W, C)`, float32 or half precision; the kernel computes in float32.
        scale: Factors `(C,)`, float32.
        offset: Summands `(C,)`, float32.
        epsilon: Added to the variance.

    Returns:
        Maps of the shape and type of `x`, the mean `(C,)` of `x` and the variance `(C,)` of `x`. Mean and variance are
        float32. The sum of squares in the variance is divided by B * H * W.
    """
    import tensorflow as tf

    zeros = tf.zeros_like(scale)  # the kernel does not read these values in training
    maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=zeros, variance=zeros, epsilon=epsilon
    )
    count = tf.cast(tf.reduce_prod(tf.shape(x, out_type=tf.int64)[:3]), "float32")
    return maps, mean, tf.where(count > 1, variance * ((count - 1) / count), 0.0)  # the kernel divides by count - 1


def normalize_by(x, scale, offset, mean, variance, epsilon: float):
    """Applies batch normalization with given statistics, in one kernel.

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
    """Returns whether `adam` can be used: for dense gradients, not for half precision (1 - beta_2 would be 0)."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return variable.dtype in (tf.float32, tf.float64) and not isinstance(gradient, tf.IndexedSlices)


def adam(variable, m, v, gradient, rate, beta_1: float, beta_2: float, epsilon: float) -> None:
    """Updates a `tf.Variable` and its two moments as Adam does. `rate` already contains the bias correction.

    One operation is faster to trace, and it reads and writes each number only once.
    """
    import tensorflow as tf

    kind = variable.dtype
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=m.handle,
        v=v.handle,
        beta1_power=tf.zeros((), kind),  # `rate` contains the bias correction
        beta2_power=tf.zeros((), kind),
        lr=rate,
        beta1=tf.constant(beta_1, kind),
        beta2=tf.constant(beta_2, kind),
        epsilon=tf.constant(epsilon, kind),
        grad=tf.cast(gradient, kind),
    )
