"""Batch normalization that trains with TensorFlow's fused kernel."""

import keras
from keras import ops

__all__ = ["BatchNormalization"]


@keras.saving.register_keras_serializable(package="kvision")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` to its values and with its arguments, in less time (Ioffe & Szegedy 2015).

    Keras normalizes by some ten operations, each of which reads and writes the maps; TensorFlow has one kernel for all
    and one for their gradient, with which a step of ResNet-18 on a CPU takes a fifth to a third less time
    (`bench_selfsup.py norm`). It serves maps (B, H, W, C) in training with float32 statistics of one device. Whatever
    else there is, statistics over replicas, masks, other ranks and backends, `renorm`, inference, goes to Keras; so
    does what XLA compiles, which takes the variance as E[x^2] - E[x]^2 there: negative for N(100, 0.01).
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._fuses(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        x = ops.cast(inputs, "float32")  # as Keras does with halves
        ones, zeros = tf.ones(self.moving_mean.shape), tf.zeros(self.moving_mean.shape)
        maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=ones if self.gamma is None else ops.convert_to_tensor(self.gamma),
            offset=zeros if self.beta is None else ops.convert_to_tensor(self.beta),
            mean=zeros,
            variance=zeros,
            epsilon=self.epsilon,
        )
        count = tf.cast(tf.size(x, out_type=tf.int64) // zeros.shape[0], "float32")
        variance = tf.where(count > 1, variance * ((count - 1) / count), 0.0)  # the kernel's is divided by one less
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1 - self.momentum))
        return ops.cast(maps, self.compute_dtype)

    def _fuses(self, inputs) -> bool:
        if keras.backend.backend() != "tensorflow" or self.synchronized or self.renorm:
            return False
        import tensorflow as tf
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext  # nothing public tells

        maps = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.variable_dtype == "float32"
        return maps and not (tf.inside_function() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
