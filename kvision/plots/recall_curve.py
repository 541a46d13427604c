"""Draws the recall of proposals over their number."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvision.plots.names import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["recall_curve"]


def recall_curve(axes: "Axes", counts: Sequence[int], recalls: Mapping[str, Sequence[float]]) -> "Axes":
    """Draws a line for each way to propose boxes, on a logarithmic axis.

    Args:
        axes: Where to draw.
        counts: Numbers of proposals per image, above 0.
        recalls: For each name, the recall in [0, 1] at each of `counts`, such as `kv.detection.recall` returns.

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = kv.plots.recall_curve(Figure().subplots(), [10, 100, 1000], {"grid": [0.1, 0.4, 0.7]})
    """
    handles = [line for values in recalls.values() for line in axes.plot(counts, values, marker="o", markersize=3)]
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="proposals per image", ylabel="recall")
    legend(axes, handles, list(recalls), fontsize="small")
    return axes
