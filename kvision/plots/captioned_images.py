"""Draws images side by side, each with a caption."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["captioned_images"]

_COLUMNS = 4
_IMAGE, _CAPTION = 1.0, 0.35  # heights of an image and of its caption
_GAP = 0.1


def captioned_images(axes: "Axes", images: Sequence[np.ndarray], captions: Sequence[str]) -> "Axes":
    """Draws images in rows of four, with a caption below each.

    Args:
        axes: Where to draw.
        images: `(height, width, 3)` uint8 each. Sizes may differ. The longer sides of all images are drawn with the
            same length.
        captions: A text for each image. The text is drawn unchanged: `$` does not begin a formula.

    Returns:
        `axes`.

    Raises:
        UserError: If there are no images.

    Example:
        >>> from matplotlib.figure import Figure
        >>> images = np.zeros((2, 8, 8, 3), "uint8")
        >>> axes = kv.plots.captioned_images(Figure().subplots(), images, ["cat", "dog"])
    """
    if not len(images):
        raise checks.UserError("images", problem="are empty", expected="one image or more", received=0)
    texts, properties = drawn(captions)
    for number, (image, caption) in enumerate(zip(images, texts, strict=True)):
        row, column = divmod(number, _COLUMNS)
        left, top = column * (_IMAGE + _GAP), row * (_IMAGE + _CAPTION + _GAP)
        height, width = (side / max(image.shape[:2]) for side in image.shape[:2])
        middle, bottom = left + _IMAGE / 2, top + (_IMAGE + height) / 2
        axes.imshow(image, extent=(middle - width / 2, middle + width / 2, bottom, bottom - height))
        axes.text(middle, top + _IMAGE + 0.03, caption, ha="center", va="top", fontsize="small", **properties)
    rows = -(-len(images) // _COLUMNS)
    width = min(len(images), _COLUMNS) * (_IMAGE + _GAP) - _GAP
    axes.set(xlim=(0, width), ylim=(rows * (_IMAGE + _CAPTION + _GAP), 0), aspect="equal")
    axes.set_axis_off()
    return axes
