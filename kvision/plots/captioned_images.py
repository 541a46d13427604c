"""Draws images side by side, each with a caption."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision.plots.grid import image_grid
from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["captioned_images"]

_CAPTION = 0.35  # height of a caption; that of an image is 1


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
    texts, properties = drawn(captions)
    places = image_grid(axes, images, below=_CAPTION)
    for (left, top), caption in zip(places, texts, strict=True):
        axes.text(left + 0.5, top + 1.03, caption, ha="center", va="top", fontsize="small", **properties)
    return axes
