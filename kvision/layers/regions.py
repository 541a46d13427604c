"""Cuts boxes out of images or feature maps and resizes them to one size."""

import keras
from keras import ops

from kvision.ops import regions

__all__ = ["Regions"]


@keras.saving.register_keras_serializable(package="kvision")
class Regions(keras.layers.Layer):
    """Resizes the content of each box to a square.

    The layer maps `(batch, height, width, channels)` and boxes `(batch, n, 4)`, or rotated boxes `(batch, n, 5)`, to
    `(batch, n, size, size, channels)`. Boxes are in pixels of the image.

    Args:
        size: Height and width of the result.
        stride: Distance of two pixels of the maps, in pixels of the image.
        samples: Each pixel of the result is the mean of samples x samples points. RoI-align uses 2.
        context: Number of pixels of the result, on each side, that show what is around the box. R-CNN uses 16.
        outside: Values of the channels outside of the maps. If None, the values at the border continue.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Example:
        >>> maps, boxes = np.zeros((1, 30, 40, 8)), np.array([[[0.0, 0.0, 80.0, 160.0]]])
        >>> tuple(kv.layers.Regions(7, stride=8, samples=2)(maps, boxes).shape)
        (1, 1, 7, 7, 8)

    References:
        He et al. 2017, arXiv 1703.06870, section 3; Girshick et al. 2014, arXiv 1311.2524, appendix A.
    """

    def __init__(self, size: int, *, stride: int = 1, samples: int = 1, context: int = 0, outside=None, **kwargs):
        super().__init__(autocast=False, **kwargs)  # boxes stay float32
        self.size, self.stride, self.samples, self.context = size, stride, samples, context
        self.outside = None if outside is None else tuple(float(value) for value in outside)
        self.built = True

    def call(self, maps, boxes):
        boxes = ops.cast(boxes, "float32")
        if self.context:
            boxes = regions.enlarge(boxes, self.size / (self.size - 2 * self.context))
        options = {"stride": self.stride, "samples": self.samples, "outside": self.outside}
        return regions.regions(ops.cast(maps, self.compute_dtype), boxes, self.size, **options)

    def compute_output_shape(self, maps_shape, boxes_shape):
        return (maps_shape[0], boxes_shape[1], self.size, self.size, maps_shape[-1])

    def compute_output_spec(self, maps, boxes):
        return keras.KerasTensor(self.compute_output_shape(maps.shape, boxes.shape), self.compute_dtype)

    def get_config(self):
        names = ("size", "stride", "samples", "context", "outside")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
