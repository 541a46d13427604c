"""Crops features to the size of a reference tensor."""

import keras

from kvision import ops

__all__ = ["CropLike"]


@keras.saving.register_keras_serializable(package="kvision")
class CropLike(keras.layers.Layer):
    """Crops features to the height and width of a reference and keeps the upper left corner.

    The layer is called with features `(batch, h, w, channels)` and a reference `(batch, height, width, ...)` that is
    not larger, and returns `(batch, height, width, channels)`. The sizes may be unknown until the model runs.

    Example:
        >>> features, image = np.zeros((1, 36, 36, 8)), np.zeros((1, 33, 35, 3))
        >>> tuple(kv.layers.CropLike()(features, image).shape)
        (1, 33, 35, 8)
    """

    def call(self, features, reference):
        _, height, width, *_ = ops.sizes(reference)
        return features[:, :height, :width]

    def compute_output_shape(self, features_shape, reference_shape):
        return (features_shape[0], *reference_shape[1:3], features_shape[-1])

    def compute_output_spec(self, features, reference):
        return keras.KerasTensor(self.compute_output_shape(features.shape, reference.shape), features.dtype)
