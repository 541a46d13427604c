"""Moves boxes by the deltas of a box regression."""

import keras
from keras import ops

from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

__all__ = ["MovedBoxes"]

_LARGEST = 4.0  # of the logarithm of a ratio of sides, so that no box grows without limit


@keras.saving.register_keras_serializable(package="kvision")
class MovedBoxes(keras.layers.Layer):
    """Moves each box by one set of deltas for each class.

    The layer is called with boxes `(batch, n, 4)`, deltas `(batch, n, classes, 4)` and images `(batch, height, width,
    channels)`, and returns boxes `(batch, n, classes, 4)`, clipped to the image. Rotated boxes have 5 columns and are
    not clipped. Deltas are those of `kv.detection.boxes.encode`.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, boxes, deltas, images):
        size = boxes.shape[-1]
        sides = ops.clip(deltas[..., 2:4], -_LARGEST, _LARGEST)
        deltas = ops.concatenate([deltas[..., :2], sides, deltas[..., 4:]], -1)
        boxes = ops.broadcast_to(boxes[:, :, None], ops.shape(deltas))
        if size == 5:
            return rotated_boxes.decode(deltas, boxes)
        return plain.clip(plain.decode(deltas, boxes), (ops.shape(images)[1], ops.shape(images)[2]))

    def compute_output_shape(self, boxes_shape, deltas_shape, images_shape):
        return deltas_shape

    def compute_output_spec(self, boxes, deltas, images):
        return keras.KerasTensor(deltas.shape, "float32")
