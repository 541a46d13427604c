"""Batch normalization that trains with TensorFlow's fused kernel."""

import keras
from keras import ops

from kvision.ops import fused

__all__ = ["BatchNormalization"]


@keras.saving.register_keras_serializable(package="kvision")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` to its values and with its arguments, in less time (Ioffe & Szegedy 2015).

    Keras normalizes by some ten operations, each of which reads and writes the maps; TensorFlow has one kernel for all
    and one for their gradient, with which a step of ResNet-18 on a CPU takes a fifth to a third less time
    (`bench_selfsup.py norm`). It serves maps (B, H, W, C) in training with float32 statistics of one device. Whatever
    else there is, statistics over replicas, masks, other ranks and backends, `renorm`, XLA, inference, goes to Keras.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._fuses(inputs)):
            return super().call(inputs, training=training, mask=mask)
        x = ops.cast(inputs, "float32")  # as Keras does with halves
        scale = ops.ones_like(self.moving_mean) if self.gamma is None else self.gamma
        offset = ops.zeros_like(self.moving_mean) if self.beta is None else self.beta
        maps, mean, variance = fused.normalize(x, *map(ops.convert_to_tensor, (scale, offset)), self.epsilon)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1 - self.momentum))
        return ops.cast(maps, self.compute_dtype)

    def _fuses(self, inputs) -> bool:
        maps = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.variable_dtype == "float32"
        return maps and not self.synchronized and not self.renorm and fused.has_normalize()
