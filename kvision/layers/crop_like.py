"""Features cut to the size of others, which may be unknown until the graph runs."""

import keras

from kvision import ops

__all__ = ["CropLike"]


@keras.saving.register_keras_serializable(package="kvision")
class CropLike(keras.layers.Layer):
    """features (B, h, w, C), reference (B, H, W, ...) with H <= h and W <= w -> (B, H, W, C): the upper left corner."""

    def call(self, features, reference):
        _, height, width, *_ = ops.sizes(reference)
        return features[:, :height, :width]

    def compute_output_shape(self, features_shape, reference_shape):
        return (features_shape[0], *reference_shape[1:3], features_shape[-1])

    def compute_output_spec(self, features, reference):
        return keras.KerasTensor(self.compute_output_shape(features.shape, reference.shape), features.dtype)
