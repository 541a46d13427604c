"""The loss of a proposer: which cells of a map are in an object, and where its box is."""

import keras
from keras import ops

from kvision.ops import cells

__all__ = ["CandidateLoss", "candidate_losses"]

_CENTRAL = 0.25  # a cell learns to find an object if it lies in the central half of its sides
_BETA = 1 / 9  # below this error smooth L1 is quadratic; the value of Faster R-CNN's proposer


def candidate_losses(objects, candidates, *, side: float, stride: int):
    """Computes the loss of a proposer for each image.

    A cell in the central half of an object, or next to its center, is positive. If there are several such objects, the
    cell belongs to the smallest one. Cells outside of all objects are negative, and the remaining cells do not count.
    Positive and negative cells have the same total weight, as in the batches of Faster R-CNN, which holds 128 of each.

    Args:
        objects: `(batch, m, 5)`: boxes and labels, or `(batch, m, 6)` with rotated boxes. A row with the label -1, or
            a box without area, is no object.
        candidates: `(batch, n, 3 + offsets)`: y and x of the cell, the logit of being in an object, and the offsets of
            the box; see `kvision.ops.cells.encode`.
        side: Side of the square without offsets, in pixels.
        stride: Distance of two cells, in pixels.

    Returns:
        `(batch,)`: cross entropy of the logits plus smooth L1 of the offsets of positive cells.

    References:
        Ren et al. 2015, arXiv 1506.01497, equation 1; Tian et al. 2019, arXiv 1904.01355 (cells instead of anchors).
    """
    boxes, labels = objects[..., :-1], objects[..., -1]
    places, logits, offsets = candidates[..., :2], candidates[..., 2], candidates[..., 3:]
    areas = cells.area(boxes)
    exists = ops.logical_and(labels >= 0, areas > 0)[:, None]
    share = ops.where(exists, cells.inside(places, boxes), float("inf"))
    middle = boxes[..., :2] if boxes.shape[-1] == 5 else (boxes[..., :2] + boxes[..., 2:]) / 2
    near = ops.max(ops.abs(places[:, :, None] - middle[:, None]), -1) <= stride / 2
    hits = ops.logical_and(exists, ops.logical_or(share <= _CENTRAL, near))
    positive = ops.cast(ops.any(hits, -1), "float32")
    negative = ops.cast(ops.logical_not(ops.any(ops.logical_or(share <= 0.5, hits), -1)), "float32")
    errors = ops.softplus(logits) - logits * positive
    confidence = (_mean(errors, positive) + _mean(errors, negative)) / 2
    chosen = ops.argmin(ops.where(hits, areas[:, None], float("inf")), -1)
    target = ops.take_along_axis(boxes, chosen[..., None], 1)
    # Cells without an object get a box with an area, because the logarithm of 0 would give NaN.
    some = ops.convert_to_tensor([0.0, 0.0, 1.0, 1.0, 0.0][: boxes.shape[-1]])
    target = ops.where(positive[..., None] > 0, target, some)
    wrong = ops.abs(cells.encode(target, places, side) - offsets)
    smooth = ops.where(wrong < _BETA, wrong**2 / (2 * _BETA), wrong - _BETA / 2)
    return confidence + _mean(ops.sum(smooth, -1), positive)


def _mean(values, weights):
    return ops.divide_no_nan(ops.sum(values * weights, -1), ops.sum(weights, -1))


@keras.saving.register_keras_serializable(package="kvision")
class CandidateLoss(keras.losses.Loss):
    """The Keras loss of a proposer. It is the mean of `candidate_losses` over the images.

    Args:
        side: Side of the square without offsets, in pixels.
        stride: Distance of two cells, in pixels.
        name: Name of the loss.
    """

    def __init__(self, *, side: float, stride: int, name: str = "candidate_loss"):
        super().__init__(name=name)
        self.side, self.stride = side, stride

    def call(self, y_true, y_pred):
        return candidate_losses(y_true, y_pred, side=self.side, stride=self.stride)

    def get_config(self):
        return {"side": self.side, "stride": self.stride, "name": self.name}
