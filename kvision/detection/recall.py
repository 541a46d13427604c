"""Measures the share of objects that a list of proposals covers."""

from collections.abc import Sequence

import numpy as np

from kvision import checks
from kvision.objects import Objects
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

__all__ = ["recall"]


def recall(
    proposals: Sequence[np.ndarray], drawn: Sequence[Objects], counts: Sequence[int], *, iou: float = 0.5
) -> np.ndarray:
    """Computes the share of the objects that the first proposals of each image cover.

    Args:
        proposals: Boxes `(n, 4)` or rotated boxes `(n, 5)` for each image, the most promising first.
        drawn: The objects of each image. Difficult objects do not count.
        counts: For each entry of the result, the number of proposals per image that are used.
        iou: The smallest intersection over union at which a proposal covers an object.

    Returns:
        `(len(counts),)` float64 in [0, 1]. NaN if there are no objects.

    Raises:
        UserError: If `proposals` and `drawn` have different numbers of images.
    """
    if len(proposals) != len(drawn):
        raise checks.UserError("proposals", expected=f"boxes for {len(drawn)} images", received=len(proposals))
    first = []  # for each object, the number of proposals that are needed to cover it
    for boxes, objects in zip(proposals, drawn, strict=True):
        counted = np.ones(len(objects.labels), bool) if objects.difficult is None else ~objects.difficult
        truth = objects.boxes[counted]
        if not len(boxes) or not len(truth):
            first += [np.inf] * len(truth)
            continue
        covers = np.asarray((rotated_boxes if truth.shape[1] == 5 else plain).iou(boxes, truth)) >= iou
        first += np.where(covers.any(0), covers.argmax(0) + 1, np.inf).tolist()
    needed = np.array(first)
    return np.array([np.mean(needed <= count) if len(needed) else np.nan for count in counts])
