"""Resizes features to the size of a reference tensor."""

import keras
from keras import ops

from kvision import checks

__all__ = ["ResizeLike"]


@keras.saving.register_keras_serializable(package="kvision")
class ResizeLike(keras.layers.Layer):
    """Resizes features to the height and width of a reference, with half-pixel centers.

    The layer is called with features `(batch, h, w, channels)` and a reference `(batch, height, width, ...)`, and
    returns `(batch, height, width, channels)` with the data type of the features. The sizes may be unknown until the
    model runs. This works in training, in a SavedModel and in a TFLite model. `keras.layers.UpSampling2D("bilinear")`
    and `keras.ops.image.resize` cannot be exported with unknown sizes (Keras 3.15).

    Args:
        interpolation: `"bilinear"` or `"nearest"`.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If the interpolation is unknown.

    Example:
        >>> features, image = np.zeros((1, 7, 8, 16)), np.zeros((1, 33, 35, 3))
        >>> tuple(kv.layers.ResizeLike()(features, image).shape)
        (1, 33, 35, 16)
    """

    def __init__(self, interpolation: str = "bilinear", **kwargs):
        super().__init__(**kwargs)
        self.interpolation = checks.one_of("interpolation", interpolation, ("bilinear", "nearest"))
        # The gradient of "nearest" has no XLA kernel (TensorFlow 2.21), and Keras compiles with XLA on a GPU.
        self.supports_jit = self.interpolation != "nearest"
        self.built = True

    def call(self, features, reference):
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            resized = tf.image.resize(features, tf.shape(reference)[1:3], self.interpolation)
            shape = self.compute_output_shape(features.shape, reference.shape)
            return tf.ensure_shape(tf.cast(resized, features.dtype), shape)
        return ops.image.resize(features, reference.shape[1:3], self.interpolation, data_format="channels_last")

    def compute_output_shape(self, features_shape, reference_shape):
        return (features_shape[0], *reference_shape[1:3], features_shape[-1])

    def compute_output_spec(self, features, reference):
        return keras.KerasTensor(self.compute_output_shape(features.shape, reference.shape), features.dtype)

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}
