"""Counts isolated pixels, the speckle of predicted labels."""

import numpy as np

from kvision import checks

__all__ = ["isolated_pixels"]

_SIDES = ((-1, 0), (0, -1), (0, 1), (1, 0))
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def isolated_pixels(labels: np.ndarray, *, neighbors: int = 4, ignore: int | None = None) -> int:
    """Counts the pixels whose neighbors all have a different label.

    A method that sharpens boundaries should not raise this number. Neighbors outside of the image do not exist. A pixel
    without any neighbor is not isolated.

    Args:
        labels: Integers `(height, width)`.
        neighbors: 4 for the pixels at the sides, 8 for the corners too.
        ignore: Label of pixels that are not counted themselves. If None, all pixels are counted.

    Returns:
        The number of isolated pixels.

    Raises:
        UserError: If the shape is wrong, or `neighbors` is not 4 or 8.

    Example:
        >>> labels = np.zeros((5, 5), int)
        >>> labels[2, 2] = 1
        >>> kv.metrics.isolated_pixels(labels)
        1
    """
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise checks.UserError("labels", expected="the shape (height, width)", received=labels.shape)
    if neighbors not in (4, 8):
        raise checks.UserError("neighbors", expected="4 or 8", received=neighbors)
    height, width = labels.shape
    alone = np.full(labels.shape, labels.size > 1)
    for down, across in _SIDES if neighbors == 4 else _SIDES + _CORNERS:
        rows = slice(max(0, -down), height - max(0, down))
        columns = slice(max(0, -across), width - max(0, across))
        moved = labels[max(0, down) : height + min(0, down), max(0, across) : width + min(0, across)]
        alone[rows, columns] &= labels[rows, columns] != moved
    return int((alone if ignore is None else alone & (labels != ignore)).sum())
