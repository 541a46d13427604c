"""Draws pictures in a table: a row for each example, and a column for each kind of picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["picture_table"]

_GAP = 4  # pixels between two pictures


def picture_table(axes: "Axes", columns: Mapping[str, Sequence[np.ndarray]]) -> "Axes":
    """Draws one row per example, with a picture of each column.

    Args:
        axes: Where to draw.
        columns: For each heading, one picture `(height, width, 3)` uint8 per example. The pictures of an example have
            one size.

    Returns:
        `axes`.

    Raises:
        UserError: If there are no pictures.

    Example:
        >>> from matplotlib.figure import Figure
        >>> gray, color = np.full((8, 8, 3), 90, "uint8"), np.full((8, 8, 3), (200, 0, 0), "uint8")
        >>> axes = kv.plots.picture_table(Figure().subplots(), {"input": [gray], "prediction": [color]})
    """
    examples = list(zip(*columns.values(), strict=True))
    if not examples:
        raise checks.UserError("columns", expected="at least one picture for each heading", received=dict(columns))
    width = max(image.shape[1] for row in examples for image in row)
    rows = []
    for pictures in examples:
        row = np.full((pictures[0].shape[0] + _GAP, len(columns) * (width + _GAP), 3), 255, "uint8")
        for column, image in enumerate(pictures):
            left = column * (width + _GAP)
            row[: image.shape[0], left : left + image.shape[1]] = image
        rows.append(row)
    axes.imshow(np.concatenate(rows), interpolation="nearest")
    texts, properties = drawn(list(columns))
    ticks = [column * (width + _GAP) + width / 2 for column in range(len(columns))]
    axes.set(yticks=[])
    axes.set_xticks(ticks, texts, **properties)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes
