"""Turns the output of a proposer's convolutions into candidates, and candidates into proposals."""

from typing import Any

import keras
from keras import ops

from kvision.ops import boxes as plain
from kvision.ops import cells, suppression

__all__ = ["Candidates", "Proposals"]


@keras.saving.register_keras_serializable(package="kvision")
class Candidates(keras.layers.Layer):
    """Lists the candidates of a proposer, one for each cell of its map.

    The layer maps `(batch, h, w, 1 + offsets)`, a logit and the offsets of a box, to `(batch, h * w, 3 + offsets)`: y
    and x of the cell in pixels, the logit and the offsets.

    Args:
        stride: Distance of two cells, in pixels.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.
    """

    def __init__(self, *, stride: int, **kwargs):
        super().__init__(**kwargs)
        self.stride = stride
        self.built = True

    def call(self, maps):
        places = cells.centers(maps, self.stride)
        batch, columns = ops.shape(maps)[0], maps.shape[-1]
        places = ops.broadcast_to(ops.cast(places, maps.dtype)[None], (batch, ops.shape(places)[0], 2))
        return ops.concatenate([places, ops.reshape(maps, (batch, -1, columns))], -1)

    def compute_output_shape(self, input_shape):
        batch, height, width, columns = input_shape
        return (batch, None if height is None or width is None else height * width, columns + 2)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}


@keras.saving.register_keras_serializable(package="kvision")
class Proposals(keras.layers.Layer):
    """Chooses the proposals of an image out of the candidates.

    The layer maps candidates `(batch, n, 3 + offsets)` and images `(batch, height, width, channels)` to boxes
    `(batch, count, 4)`, or rotated boxes `(batch, count, 5)`, the most promising first. If there are fewer than
    `count`, the remaining rows are 0. Boxes are clipped to the image, except rotated boxes. No gradient passes.

    Args:
        count: Number of proposals.
        before: Number of candidates with the highest logits that enter the suppression.
        iou: A box is suppressed if its intersection over union with a more promising one is larger. Faster R-CNN uses
            0.7.
        side: Side of the square without offsets, in pixels.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    References:
        Ren et al. 2015, arXiv 1506.01497, section 3.3.
    """

    def __init__(self, *, count: int, before: int, iou: float = 0.7, side: float, **kwargs):
        super().__init__(**kwargs)
        self.count, self.before, self.iou, self.side = count, before, iou, side
        self.built = True

    def call(self, candidates, images):
        size = ops.shape(images)[1], ops.shape(images)[2]
        candidates = ops.stop_gradient(ops.cast(candidates, "float32"))
        return suppression.each(lambda rows: self._proposals(rows, size), candidates)

    def _proposals(self, rows, size):
        logits, found = _top(rows[:, 2], self.before)
        rows = ops.take(rows, found, axis=0)
        boxes = cells.decode(rows[:, 3:], rows[:, :2], self.side)
        if boxes.shape[-1] == 4:
            boxes = plain.clip(boxes, size)
            kept = suppression.nms(boxes, logits, iou=self.iou)
        else:
            kept = suppression.rotated_nms(boxes, logits, iou=self.iou)
        ranks, best = _top(ops.where(kept, logits, -float("inf")), self.count)
        return ops.where(ranks[:, None] > -float("inf"), ops.take(boxes, best, axis=0), 0.0)

    def compute_output_shape(self, candidates_shape, images_shape):
        return (candidates_shape[0], self.count, 4 if candidates_shape[-1] == 7 else 5)

    def compute_output_spec(self, candidates, images):
        return keras.KerasTensor(self.compute_output_shape(candidates.shape, images.shape), "float32")

    def get_config(self):
        names = ("count", "before", "iou", "side")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _top(values, count: int):
    """Returns the `count` largest values with their indices. Missing values are -inf, with the index 0."""
    filled = ops.concatenate([values, ops.full((count,), -float("inf"), values.dtype)])
    largest: Any = ops.top_k(filled, count)  # its declared type is None
    found, indices = largest
    return found, ops.where(indices < ops.shape(values)[0], indices, 0)
