"""Draws images side by side in rows of four."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["image_grid"]

_COLUMNS = 4
_GAP = 0.1  # between two images, the longer sides of which are 1


def image_grid(axes: "Axes", images: Sequence[np.ndarray], *, below: float = 0.0) -> list[tuple[float, float]]:
    """Draws each image in the middle of a square with sides of 1.

    Args:
        axes: Where to draw.
        images: `(height, width, 3)` uint8 each. Sizes may differ. The longer side of each image is drawn with the
            length 1.
        below: Height of the free space below each square.

    Returns:
        Left and top of each square.

    Raises:
        UserError: If there are no images.
    """
    if not len(images):
        raise checks.UserError("images", problem="are empty", expected="one image or more", received=0)
    places = []
    for number, image in enumerate(images):
        row, column = divmod(number, _COLUMNS)
        left, top = column * (1 + _GAP), row * (1 + below + _GAP)
        height, width = (side / max(image.shape[:2]) for side in image.shape[:2])
        middle, bottom = left + 0.5, top + (1 + height) / 2
        axes.imshow(image, extent=(middle - width / 2, middle + width / 2, bottom, bottom - height))
        places.append((left, top))
    rows = -(-len(images) // _COLUMNS)
    width = min(len(images), _COLUMNS) * (1 + _GAP) - _GAP
    axes.set(xlim=(0, width), ylim=(rows * (1 + below + _GAP), 0), aspect="equal")
    axes.set_axis_off()
    return places
