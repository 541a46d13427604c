"""The objects in one image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Objects", "countable", "rows"]


class Objects(NamedTuple):
    """The objects in one image, either drawn by people or found by a model.

    Attributes:
        boxes: `(n, 4)` ymin, xmin, ymax, xmax in pixels, or `(n, 5)` rotated boxes y, x, height, width, angle; float32.
        labels: Class indices `(n,)`, int32.
        scores: Score of each found object `(n,)`, float32. None for drawn objects.
        difficult: True for drawn objects that count neither as found nor as missed `(n,)`, bool. If None, all objects
            count.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    difficult: np.ndarray | None = None


def countable(objects: Objects) -> Objects:
    """Returns the objects that are not difficult."""
    if objects.difficult is None:
        return objects
    keep = ~np.asarray(objects.difficult, bool)
    scores = None if objects.scores is None else objects.scores[keep]
    return Objects(objects.boxes[keep], objects.labels[keep], scores)


def rows(images: Sequence[Objects], count: int) -> np.ndarray:
    """Puts the objects of several images into one array, for training.

    Args:
        images: The objects of each image. All boxes have the same number of columns.
        count: Number of rows per image. No image may have more objects that are not difficult.

    Returns:
        `(images, count, 5)`, or `(images, count, 6)` for rotated boxes, float32. Each row is a box and its label.
        Difficult objects are left out. In unused rows, the box is 0 and the label is -1.
    """
    found = np.zeros((len(images), count, images[0].boxes.shape[1] + 1), "float32")
    found[..., -1] = -1
    for place, one in zip(found, map(countable, images), strict=True):
        place[: len(one.labels), :-1], place[: len(one.labels), -1] = one.boxes, one.labels
    return found
