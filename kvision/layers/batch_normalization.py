"""Batch normalization with TensorFlow's fused kernel."""

import keras
from keras import ops

from kvision.ops import fused

__all__ = ["BatchNormalization", "fuse_norms"]


@keras.saving.register_keras_serializable(package="kvision")
class BatchNormalization(keras.layers.BatchNormalization):
    """Normalizes like `keras.layers.BatchNormalization`, with the same arguments, weights and values, in less time.

    Keras normalizes with about ten operations, and each of them reads and writes the whole feature map. TensorFlow has
    one fused kernel for all of these operations, and a second kernel for their gradient. This layer uses the fused
    kernels for inputs of shape `(batch, height, width, channels)`, in inference and in training on a single device. In
    all other cases it runs the operations of Keras. The other cases are: a layer that is frozen inside a model that
    trains, statistics over replicas, masks, `renorm`, float64, inputs of other ranks, other backends, and training that
    XLA compiles. In half precision the kernel reads and writes half-precision maps and computes in float32, as Keras
    does.

    Example:
        >>> layer = kv.layers.BatchNormalization(momentum=0.9)
        >>> layer(keras.Input((32, 32, 8))).shape
        (None, 32, 32, 8)

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
    """Turns every `keras.layers.BatchNormalization` inside a model into `kv.layers.BatchNormalization`, in place.

    Names and weights stay the same, and weight files still load. Call this function before the model trains or
    predicts, because Keras keeps the functions that it has traced already.

    Args:
        model: A model, or a layer that contains other layers.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.BatchNormalization()])
        >>> kv.layers.fuse_norms(model)
        >>> isinstance(model.layers[0], kv.layers.BatchNormalization)
        True
    """
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.BatchNormalization:
            # Our class adds no state, so changing the class is enough. Cloning the model would trace every layer again.
            layer.__class__ = BatchNormalization
