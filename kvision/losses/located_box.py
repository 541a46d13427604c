"""The loss of the box of the one object in an image."""

import keras
from keras import ops

from kvision.ops import boxes as plain

__all__ = ["LocatedBoxLoss", "located_box_losses"]

_BETA = 1 / 9  # of the side of the image; below this error smooth L1 is quadratic


def located_box_losses(objects, boxes, *, image_size: int):
    """Computes the loss of the box for each image.

    The loss is smooth L1 of the four sides plus 1 - complete IoU. Both terms have the weight 1. Smooth L1 leads boxes
    that do not overlap the object to it. The complete IoU counts errors relative to the size of the object, and
    dominates as soon as boxes overlap.

    Args:
        objects: `(batch, 5)`: the box of the object in pixels, and its label.
        boxes: Boxes `(batch, 1, 4)` in pixels or, one for each class, `(batch, classes, 4)`. With one box for each
            class, only the box of the object's class gets a gradient. Swapped sides are allowed.
        image_size: Height and width of the image in pixels. Smooth L1 is computed from errors divided by this size.

    Returns:
        `(batch,)`: values of at least 0. The value is 0 for equal boxes with an area.

    References:
        Girshick 2015, arXiv 1504.08083, equation 3 (smooth L1); Zheng et al. 2020, arXiv 1911.08287 (complete IoU).
    """
    truth, labels = objects[..., :4], ops.cast(objects[..., 4], "int32")
    if boxes.shape[1] > 1:
        boxes = ops.take_along_axis(boxes, labels[:, None, None], 1)
    box = boxes[:, 0]
    wrong = ops.abs(box - truth) / image_size
    smooth = ops.where(wrong < _BETA, wrong**2 / (2 * _BETA), wrong - _BETA / 2)
    ends = box[..., :2], box[..., 2:]
    # An untrained network swaps sides. The complete IoU needs them in order.
    ordered = ops.concatenate([ops.minimum(*ends), ops.maximum(*ends)], -1)
    return ops.sum(smooth, -1) + 1 - plain.ciou(ordered, truth)


@keras.saving.register_keras_serializable(package="kvision")
class LocatedBoxLoss(keras.losses.Loss):
    """The Keras loss of the box of the one object in an image. It is the mean of `located_box_losses` over the images.

    Args:
        image_size: Height and width of the image in pixels.
        name: Name of the loss.
    """

    def __init__(self, *, image_size: int, name: str = "located_box_loss"):
        super().__init__(name=name)
        self.image_size = image_size

    def call(self, y_true, y_pred):
        return located_box_losses(y_true, y_pred, image_size=self.image_size)

    def get_config(self):
        return {"image_size": self.image_size, "name": self.name}
