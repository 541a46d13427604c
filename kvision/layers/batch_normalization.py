"""Batch normalization that trains with TensorFlow's fused kernel."""

import keras
from keras import ops

__all__ = ["BatchNormalization"]


@keras.saving.register_keras_serializable(package="kvision")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` to its values and with its arguments, in less time (Ioffe & Szegedy 2015).

    Keras normalizes by some ten operations, each of which reads and writes the maps; TensorFlow has one kernel for all
    and one for their gradient, with which SimCLR's step on a CPU takes a fifth less time (`bench_selfsup.py norm`). It
    works on maps (B, H, W, C) in float32 in training with statistics of one device. Whatever else there is, statistics
    over replicas, masks, other ranks and backends, `renorm`, inference, goes to Keras.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._fuses(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        x = ops.cast(inputs, "float32")  # as Keras does with halves
        ones, zeros = tf.ones(x.shape[-1]), tf.zeros(x.shape[-1])
        maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=ones if self.gamma is None else ops.convert_to_tensor(self.gamma),
            offset=zeros if self.beta is None else ops.convert_to_tensor(self.beta),
            mean=zeros,
            variance=zeros,
            epsilon=self.epsilon,
        )
        count = ops.cast(ops.size(x) // x.shape[-1], "float32")
        variance *= (count - 1) / count  # the kernel divides by one less, which Keras does not
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1 - self.momentum))
        return ops.cast(maps, self.compute_dtype)

    def _fuses(self, inputs) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and not (self.synchronized or self.renorm)
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.variable_dtype == "float32"
        )
