"""Non-maximum suppression. If boxes overlap, only the box with the highest score stays."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kvision import checks
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes as rotated

__all__ = ["each", "nms", "rotated_nms", "soft_nms"]

_FAR = 1e6  # pixels; no photograph is as large


def nms(boxes, scores, *, iou: float = 0.5):
    """Finds the boxes that stay after each box suppressed the overlapping boxes with lower scores.

    Args:
        boxes: `(n, 4)`, or `(n, classes, 4)` if each class has its own boxes.
        scores: `(n,)`, or `(n, classes)` to treat each class separately. If two scores are equal, the first one counts
            as higher.
        iou: A box is suppressed if its intersection over union with a box that stays is larger.

    Returns:
        `(n,)` or `(n, classes)` bool: whether a box stays.

    Raises:
        UserError: If `iou` is not in [0, 1].

    Example:
        >>> boxes = np.array([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
        >>> np.asarray(kv.detection.nms(boxes, np.array([0.7, 0.9, 0.1]), iou=0.5)).tolist()
        [False, True, True]
    """
    _check(iou)
    boxes, scores = ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(scores, "float32")
    if len(scores.shape) == 1:
        return _kept(boxes, scores, iou)
    classes = range(scores.shape[1])
    of_class = [boxes[:, i] for i in classes] if len(boxes.shape) == 3 else [boxes] * len(classes)
    return ops.stack([_kept(of_class[i], scores[:, i], iou) for i in classes], 1)


def _kept(boxes, scores, iou: float):
    if keras.backend.backend() == "tensorflow":  # TensorFlow's kernel stops early, and TFLite has it, too
        import tensorflow as tf

        count = tf.shape(scores)[0]
        # TFLite's kernel stops at a box without area. So each of them becomes a box of its own, far from all others.
        # With `tf.where` instead of this sum, the converter of TensorFlow 2.21 crashes.
        empty = tf.cast(plain.area(boxes) <= 0, tf.float32)[:, None]
        away = _FAR + 2 * tf.cast(tf.range(count), tf.float32)[:, None] + tf.constant([0.0, 0.0, 1.0, 1.0])
        boxes = boxes * (1 - empty) + away * empty
        found, valid = tf.raw_ops.NonMaxSuppressionV4(
            boxes=boxes,
            scores=scores,
            max_output_size=count,
            iou_threshold=iou,
            score_threshold=float("-inf"),
            pad_to_max_output_size=True,
        )
        hits = tf.cast(tf.range(count) < valid, tf.int32)  # zeros follow the valid entries
        return tf.scatter_nd(found[:, None], hits, [count]) > 0
    return _greedy(plain.iou(boxes, boxes) > iou, scores)


def rotated_nms(boxes, scores, *, iou: float = 0.5):
    """Finds the rotated boxes that stay, like `nms`.

    The function compares all pairs, which takes about 3 seconds for 1,000 boxes on two CPU cores. Leave out boxes with
    low scores first.

    Args:
        boxes: `(n, 5)`.
        scores: `(n,)`. If two scores are equal, the first one counts as higher.
        iou: A box is suppressed if its intersection over union with a box that stays is larger.

    Returns:
        `(n,)` bool: whether a box stays.

    Raises:
        UserError: If `iou` is not in [0, 1].
    """
    _check(iou)
    boxes, scores = ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(scores, "float32")
    return _greedy(rotated.iou(boxes, boxes) > iou, scores)


def _greedy(overlap, scores):
    """Returns which rows stay, `(n,)` bool, if `overlap` `(n, n)` bool is True for overlapping pairs.

    A row stays if it does not overlap an earlier row that stays. At the start all rows stay. Each pass gives the final
    result of at least the next row, and mostly of many rows. When a pass changes nothing, all rows are final.
    """
    order = ops.argsort(-scores)
    count = ops.shape(scores)[0]
    rank = ops.argsort(order)
    before = rank[:, None] < rank[None]  # for equal scores the first row comes first, because argsort is stable
    suppresses = ops.cast(ops.logical_and(overlap, before), "float32")

    def step(kept, _):
        hit = ops.matmul(ops.cast(kept, "float32")[None], suppresses)[0] > 0
        return ops.logical_not(hit), ops.any(ops.not_equal(ops.logical_not(hit), kept))

    start: Any = (ops.ones((count,), "bool"), ops.convert_to_tensor(True))
    settled: Any = ops.while_loop(lambda _, changed: changed, step, start)  # its declared type is None
    return settled[0]


def soft_nms(boxes, scores, *, sigma: float = 0.5):
    """Lowers the scores of boxes that overlap boxes with higher scores. No box is removed.

    Args:
        boxes: `(n, 4)`.
        scores: `(n,)`, at least 0.
        sigma: Width of the Gaussian penalty exp(-iou^2 / sigma). Defaults to 0.5, as in the paper.

    Returns:
        `(n,)` float32: the new scores, in the order of the boxes.

    Raises:
        UserError: If `sigma` is not positive.

    References:
        Bodla et al. 2017, arXiv 1704.04503, equation 3.
    """
    checks.positive({"sigma": sigma})
    boxes, scores = ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(scores, "float32")
    count = ops.shape(scores)[0]

    def step(_, state):
        scores, waiting = state
        best = ops.top_k(ops.where(waiting, scores, -1.0), 1)[1][0]  # TFLite cannot convert Keras' argmax
        waiting = ops.logical_and(waiting, ops.not_equal(ops.arange(count), ops.cast(best, "int32")))
        overlap = plain.iou(ops.take(boxes, best, axis=0)[None], boxes)[0]
        return ops.where(waiting, scores * ops.exp(-(overlap**2) / sigma), scores), waiting

    return ops.fori_loop(0, count, step, (scores, ops.ones((count,), "bool")))[0]


def each(function: Callable, rows):
    """Calls a function for each image of a batch.

    Args:
        function: A function of one element of `rows` that returns a tensor.
        rows: `(batch, ...)`.

    Returns:
        The results, stacked. A batch that is known to have one image needs no loop, which keeps TFLite models simple.
    """
    return function(rows[0])[None] if rows.shape[0] == 1 else ops.map(function, rows)


def _check(iou: float) -> None:
    if not 0 <= iou <= 1:
        raise checks.UserError("iou", expected="a value in [0, 1]", received=iou)
