"""Chooses the final detections out of scored boxes."""

from typing import Any

import keras
from keras import ops

from kvision.ops import suppression

__all__ = ["Detections"]


@keras.saving.register_keras_serializable(package="kvision")
class Detections(keras.layers.Layer):
    """Suppresses double detections class by class, and returns those with the highest scores.

    The layer is called with boxes `(batch, n, classes, 4)`, or `(batch, n, 4)` if all classes have the same boxes, and
    scores `(batch, n, classes)` in [0, 1]. It returns `(batch, limit, 6)`: the box, the score and the label. Rotated
    boxes have 5 columns, so the result has 7. Rows are in the order of their scores. Unused rows are 0 and have the
    label -1.

    Args:
        limit: The largest number of detections. The default is COCO's.
        iou: A box is suppressed if its intersection over union with a box of its class and a higher score is larger.
            R-CNN uses 0.3.
        smallest_score: Boxes with a lower score are left out.
        before: Number of boxes of each class, with the highest scores, that enter the suppression of rotated boxes.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    References:
        Girshick et al. 2014, arXiv 1311.2524, section 2.2.
    """

    def __init__(
        self, *, limit: int = 100, iou: float = 0.3, smallest_score: float = 0.01, before: int = 200, **kwargs
    ):
        super().__init__(**kwargs)
        self.limit, self.iou, self.smallest_score, self.before = limit, iou, smallest_score, before
        self.built = True

    def call(self, boxes, scores):
        size = boxes.shape[-1]
        boxes, scores = ops.cast(boxes, "float32"), ops.cast(scores, "float32")
        classes = scores.shape[-1]
        if len(boxes.shape) == 3:  # the same box for all classes
            boxes = ops.repeat(boxes[:, :, None], classes, axis=2)
        rows = ops.concatenate([ops.reshape(boxes, (*ops.shape(boxes)[:2], classes * size)), scores], -1)
        return suppression.each(lambda one: self._detections(one, classes, size), rows)

    def _detections(self, rows, classes: int, size: int):
        rows = ops.concatenate([rows, ops.full((1, (size + 1) * classes), -1.0)])  # so that there is always a row
        boxes, scores = ops.reshape(rows[:, : classes * size], (-1, classes, size)), rows[:, classes * size :]
        scores = ops.where(scores >= self.smallest_score, scores, -1.0)
        if size == 4:
            kept = suppression.nms(boxes, scores, iou=self.iou)
        else:
            kept = ops.stack([self._rotated(boxes[:, i], scores[:, i]) for i in range(classes)], 1)
        values = ops.reshape(ops.where(kept, scores, -1.0), (-1,))
        filled = ops.concatenate([values, ops.full((self.limit,), -1.0)])
        largest: Any = ops.top_k(filled, self.limit)  # its declared type is None
        best, found = largest
        used = (best >= 0)[:, None]
        found = ops.where(best >= 0, found, 0)
        chosen = ops.take(ops.reshape(boxes, (-1, size)), found, axis=0)
        labels = ops.cast(found % classes, "float32")
        answers = ops.concatenate([chosen, best[:, None], labels[:, None]], -1)
        unused = ops.convert_to_tensor([0.0] * (size + 1) + [-1.0])
        return ops.where(used, answers, unused)

    def _rotated(self, boxes, scores):
        """Suppresses rotated boxes. Only the best ones are compared, because all pairs are compared."""
        filled = ops.concatenate([scores, ops.full((self.before,), -1.0)])
        largest: Any = ops.top_k(filled, self.before)
        best, found = largest
        found = ops.where(best >= 0, found, 0)
        kept = ops.logical_and(suppression.rotated_nms(ops.take(boxes, found, axis=0), best, iou=self.iou), best >= 0)
        count = ops.shape(scores)[0]
        hits = ops.logical_and(kept[:, None], found[:, None] == ops.arange(count, dtype=found.dtype)[None])
        return ops.any(hits, 0)

    def compute_output_shape(self, boxes_shape, scores_shape):
        return (boxes_shape[0], self.limit, boxes_shape[-1] + 2)

    def compute_output_spec(self, boxes, scores):
        return keras.KerasTensor(self.compute_output_shape(boxes.shape, scores.shape), "float32")

    def get_config(self):
        names = ("limit", "iou", "smallest_score", "before")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
