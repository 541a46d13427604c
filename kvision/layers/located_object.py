"""Joins the class and the box of the one object in an image."""

import keras
from keras import ops

__all__ = ["LocatedObject"]


@keras.saving.register_keras_serializable(package="kvision")
class LocatedObject(keras.layers.Layer):
    """Returns the object in each image as the only row of a detector.

    The layer is called with boxes `(batch, 1, 4)` or, one for each class, `(batch, classes, 4)`, and logits `(batch,
    classes)`. It returns `(batch, 1, 6)`: the box, the largest probability and the label of this class. With one box
    for each class, the box of this class is returned. The sides of the box are put in order, and clipped to the image.

    Args:
        image_size: Height and width of the image in pixels.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.
    """

    def __init__(self, image_size: int, **kwargs):
        super().__init__(**kwargs)
        self.image_size = image_size
        self.built = True

    def call(self, boxes, logits):
        # The `argmax` of Keras uses an operation on bits that TFLite does not have.
        best = ops.top_k(ops.softmax(ops.cast(logits, "float32")), 1)
        score, label = best[0], best[1]
        boxes = ops.clip(ops.cast(boxes, "float32"), 0.0, float(self.image_size))
        if boxes.shape[1] > 1:
            boxes = boxes * ops.one_hot(label[:, 0], boxes.shape[1])[..., None]
        box = ops.sum(boxes, 1)
        first, last = ops.minimum(box[:, :2], box[:, 2:]), ops.maximum(box[:, :2], box[:, 2:])
        return ops.concatenate([first, last, score, ops.cast(label, "float32")], -1)[:, None]

    def compute_output_shape(self, boxes_shape, logits_shape):
        return (boxes_shape[0], 1, 6)

    def compute_output_spec(self, boxes, logits):
        return keras.KerasTensor(self.compute_output_shape(boxes.shape, logits.shape), "float32")

    def get_config(self):
        return {**super().get_config(), "image_size": self.image_size}
