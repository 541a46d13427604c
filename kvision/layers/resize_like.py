"""Features resized to the size of others, which may be unknown until the graph runs."""

import keras
from keras import ops

from kvision import checks

__all__ = ["ResizeLike"]


@keras.saving.register_keras_serializable(package="kvision")
class ResizeLike(keras.layers.Layer):
    """features (B, h, w, C), reference (B, H, W, ...) -> (B, H, W, C) of the features' type; half-pixel centers.

    interpolation: "bilinear" or "nearest". It works where sizes are unknown in training, SavedModel and TFLite alike;
    `keras.layers.UpSampling2D("bilinear")` and `keras.ops.image.resize` cannot be exported there (Keras 3.15).
    """

    def __init__(self, interpolation: str = "bilinear", *, name: str | None = None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.interpolation = checks.one_of("interpolation", interpolation, ("bilinear", "nearest"))
        # the gradient of the nearest has no XLA kernel (TensorFlow 2.21); Keras compiles with XLA where there is a GPU
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
        return {
            "interpolation": self.interpolation,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }
