"""Draws the precision of a detector over its recall."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.plots.names import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kvision.metrics import AveragePrecision

__all__ = ["precision_recall"]


def precision_recall(
    axes: "Axes", result: "AveragePrecision", class_names: Sequence[str], *, iou: float = 0.5
) -> "Axes":
    """Draws a curve for each class. The legend has the average precision of each class.

    The precision at a recall is the highest precision at this or a higher recall, as in the definition of the average
    precision. So the average precision is the area under the curve. A class without objects has no curve.

    Args:
        axes: Where to draw.
        result: The result of `kv.metrics.average_precision`.
        class_names: Names of the classes. If there are more than 20 classes, there is no legend.
        iou: Intersection over union, one of `result.ious`.

    Returns:
        `axes`.

    Raises:
        UserError: If `iou` is not one of `result.ious`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from kvision.objects import Objects
        >>> cat = Objects(np.array([[1.0, 1.0, 5.0, 6.0]]), np.array([0]), np.array([0.9]))
        >>> result = kv.metrics.average_precision([cat], [cat], 1)
        >>> axes = kv.plots.precision_recall(Figure().subplots(), result, ["cat"])
    """
    from matplotlib import colormaps

    if iou not in result.ious:
        raise checks.UserError("iou", expected=f"one of {', '.join(map(str, result.ious))}", received=iou)
    column, few = result.ious.index(iou), len(class_names) <= 20
    palette, handles, texts = colormaps["tab20" if few else "hsv"], [], []
    for label, name in enumerate(class_names):
        value = result.values[label, column]
        if np.isnan(value):
            continue
        recall, precision = result.matches[label][column].curve()
        # The curve begins at recall 0, and falls to precision 0 behind its last point.
        recall, precision = np.append(recall, recall.max(initial=0.0)), np.append(precision, 0.0)
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        color = palette(label if few else label / len(class_names))
        handles += axes.step(np.append(0.0, recall), np.append(highest[:1], highest), color=color)
        texts.append(f"{name} {value:.2f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title=f"IoU of at least {iou:g}")
    if few and handles:
        legend(axes, handles, texts, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes
