"""The objects in one image."""

from typing import NamedTuple

import numpy as np

__all__ = ["Objects"]


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
