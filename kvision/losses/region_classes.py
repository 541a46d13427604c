"""The loss of a network that classifies the regions of an image."""

import keras
from keras import ops

from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

__all__ = ["RegionLoss", "region_losses"]

_POSITIVE = 0.5  # smallest intersection over union with an object of a positive region, as in the paper
_SHARE = 0.25  # share of the weight of the positive regions: the paper's batches hold 32 of them and 96 others


def region_losses(objects, regions):
    """Computes the loss of the classes of regions for each image.

    A region has the class of the object that it overlaps most, if their intersection over union is at least 0.5. All
    others are background. R-CNN draws 32 positive regions and 96 others for a batch. Here all regions of an image
    count, with the same weights in total: a quarter for the positive ones, and three quarters for the others.

    Args:
        objects: `(batch, m, 5)`: boxes and labels, or `(batch, m, 6)` with rotated boxes. A row with the label -1 is
            no object.
        regions: `(batch, n, 4 + 1 + classes)`, or `5 + 1 + classes` columns for rotated boxes: the box, and the logits
            of the background and of the classes. A box without area does not count.

    Returns:
        `(batch,)`: weighted cross entropy. 0 for an image without regions.

    References:
        Girshick et al. 2014, arXiv 1311.2524, section 2.3.
    """
    size = objects.shape[-1] - 1
    truth, labels = objects[..., :size], objects[..., -1]
    boxes, logits = ops.stop_gradient(regions[..., :size]), regions[..., size:]
    overlap = (rotated_boxes if size == 5 else plain).iou(boxes, truth)
    overlap = ops.where((labels >= 0)[:, None], overlap, 0.0)
    best = ops.take_along_axis(labels[:, None], ops.argmax(overlap, -1)[:, None], 2)[:, 0]
    positive = ops.max(overlap, -1) >= _POSITIVE
    wanted = ops.where(positive, ops.cast(best, "int32") + 1, 0)
    sides = boxes[..., 2:4] if size == 5 else boxes[..., 2:] - boxes[..., :2]
    exists = ops.cast(ops.all(sides > 0, -1), "float32")
    right = ops.cast(positive, "float32") * exists
    errors = -ops.take_along_axis(ops.log_softmax(logits), wanted[..., None], 2)[..., 0]
    return _SHARE * _mean(errors, right) + (1 - _SHARE) * _mean(errors, exists - right)


def _mean(values, weights):
    return ops.divide_no_nan(ops.sum(values * weights, -1), ops.sum(weights, -1))


@keras.saving.register_keras_serializable(package="kvision")
class RegionLoss(keras.losses.Loss):
    """The Keras loss of the classes of regions. It is the mean of `region_losses` over the images.

    Args:
        name: Name of the loss.
    """

    def __init__(self, *, name: str = "region_loss"):
        super().__init__(name=name)

    def call(self, y_true, y_pred):
        return region_losses(y_true, y_pred)

    def get_config(self):
        return {"name": self.name}
