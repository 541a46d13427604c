"""Batch normalization by TensorFlow's fused kernel."""

import keras
from keras import ops

from kvision.ops import fused

__all__ = ["BatchNormalization", "fuse_norms"]


@keras.saving.register_keras_serializable(package="kvision")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with the same values, arguments and weights, in less time.

    Keras normalizes with some ten operations, each of which reads and writes the maps. TensorFlow has one kernel for
    all of them, and one for their gradient. The kernel is used for maps `(B, H, W, C)`: in training where the
    statistics are those of one device, and in inference. Keras' own operations serve everything else: statistics that
    are fixed while other layers train, statistics over replicas, masks, other ranks and backends, `renorm`, float64,
    and training compiled by XLA. In half precision the kernel reads and writes half maps, and computes in float32 as
    Keras does.

    References:
        Ioffe and Szegedy 2015, arXiv 1502.03167.
    """

    def call(self, inputs, training=None, mask=None):
        learns = bool(training and self.trainable)
        if not self._fuses(inputs, mask, learns):
            return super().call(inputs, training=training, mask=mask)
        x = ops.cast(inputs, self.compute_dtype)
        scale = ops.ones_like(self.moving_mean) if self.gamma is None else self.gamma
        offset = ops.zeros_like(self.moving_mean) if self.beta is None else self.beta
        scale, offset = map(ops.convert_to_tensor, (scale, offset))
        if not learns:
            moving = map(ops.convert_to_tensor, (self.moving_mean, self.moving_variance))
            return fused.normalize_by(x, scale, offset, *moving, self.epsilon)
        maps, mean, variance = fused.normalize(x, scale, offset, self.epsilon)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1 - self.momentum))
        return maps

    def _fuses(self, inputs, mask, learns: bool) -> bool:
        maps = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.variable_dtype == "float32"
        one_device = mask is None and not self.synchronized and not self.renorm
        return maps and (one_device or not learns) and fused.has_normalize(self.compute_dtype, training=learns)


def fuse_norms(model: keras.layers.Layer) -> None:
    """Makes every `keras.layers.BatchNormalization` inside a model one of kvision's, in place.

    Names, weights and weight files stay as they are. Call it before the model trains or predicts: Keras does not see
    the change in a function that it has traced already.

    Args:
        model: A model, or a layer that holds others.
    """
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.BatchNormalization:
            # Ours has no state of its own. A clone of the network would have to trace every layer once more.
            layer.__class__ = BatchNormalization
