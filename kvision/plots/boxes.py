"""Draws found and drawn boxes on images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision.objects import Objects
from kvision.plots.grid import image_grid
from kvision.plots.names import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["boxes"]

_COLORS = 20  # colors of the palette; further classes use them again


def boxes(
    axes: "Axes",
    images: Sequence[np.ndarray],
    found: Sequence[Objects],
    drawn: Sequence[Objects],
    class_names: Sequence[str],
) -> "Axes":
    """Draws images in rows of four with the found boxes in the colors of their classes, and the drawn boxes in white.

    Found boxes have solid lines. Boxes that people have drawn have broken lines. A legend shows the classes of the
    found boxes.

    Args:
        axes: Where to draw.
        images: `(height, width, 3)` uint8 each. Sizes may differ.
        found: Detections of each image, with axis-aligned or rotated boxes in pixels. All of them are drawn, so leave
            out those with low scores.
        drawn: Objects of each image that people have drawn.
        class_names: Names of the classes.

    Returns:
        `axes`.

    Raises:
        UserError: If there are no images.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from kvision.objects import Objects
        >>> image, cat = np.zeros((8, 8, 3), "uint8"), Objects(np.array([[1.0, 1.0, 5.0, 6.0]]), np.array([0]))
        >>> axes = kv.plots.boxes(Figure().subplots(), [image], [cat], [cat], ["cat"])
    """
    from matplotlib import colormaps, patheffects
    from matplotlib.patches import Polygon, Rectangle

    palette, shown = colormaps["tab20"], {}
    # The dark outline makes white lines visible on white images.
    outline = patheffects.withStroke(linewidth=3, foreground="black")
    white = {"edgecolor": "white", "linestyle": "--", "path_effects": [outline]}
    places = image_grid(axes, images)
    for (left, top), image, answer, truth in zip(places, images, found, drawn, strict=True):
        side = max(image.shape[:2])
        size = np.array(image.shape[:2]) / side
        start = np.array([top, left]) + (1 - size) / 2
        frame = Rectangle(tuple(start[::-1]), size[1], size[0], transform=axes.transData)
        styles = [(None, white)] * len(truth.labels)
        styles += [(int(label), {"edgecolor": palette(int(label) % _COLORS)}) for label in answer.labels]
        every = np.concatenate([_corners(truth.boxes), _corners(answer.boxes)])
        for points, (label, style) in zip(every, styles, strict=True):
            polygon = axes.add_patch(Polygon((start + points / side)[:, ::-1], fill=False, linewidth=1.5, **style))
            polygon.set_clip_path(frame)
            if label is not None:
                shown[label] = polygon
    labels = sorted(shown)
    names = [class_names[label] for label in labels]
    if labels:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        legend(axes, [shown[label] for label in labels], names, fontsize="small", **place)
    return axes


def _corners(found: np.ndarray) -> np.ndarray:
    """Returns the corners `(n, 4, 2)` of boxes, as y and x."""
    from kvision.ops import rotated_boxes

    if not len(found):
        return np.zeros((0, 4, 2))
    if found.shape[1] == 5:
        return np.asarray(rotated_boxes.corners(found))
    return np.asarray(found)[:, [[0, 1], [0, 3], [2, 3], [2, 1]]]
