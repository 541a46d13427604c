"""Draws values with their intervals as points, one below the other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvision.plots.accuracy import error_lengths
from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["interval_points"]


def interval_points(axes: "Axes", results: Mapping[str, Mapping], *, label: str = "accuracy") -> "Axes":
    """Draws a point for each accuracy, with its interval. Small differences stay visible, unlike with bars from 0.

    Args:
        axes: Where to draw.
        results: Accuracies and intervals in [0, 1] by name: `{"ridge": {"accuracy": 0.6, "interval": [0.55, 0.65]}}`.
        label: Text of the axis.

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> results = {"ridge": {"accuracy": 0.6, "interval": [0.55, 0.65]}}
        >>> axes = kv.plots.interval_points(Figure().subplots(), results)
    """
    values = [row["accuracy"] for row in results.values()]
    errors = error_lengths(values, [row["interval"] for row in results.values()])
    texts, _ = drawn(list(results))
    places = range(len(values))
    axes.errorbar(values, places, xerr=errors, fmt="o", capsize=4, color="#4878a8")
    for place, value in zip(places, values, strict=True):
        axes.annotate(f"{100 * value:.1f} %", (value, place), xytext=(0, 6), textcoords="offset points", ha="center")
    axes.set_yticks(places, texts)
    axes.set(ylim=(len(values) - 0.5, -0.7), xlabel=f"{label} (bars: 95 % interval)")
    axes.grid(axis="x", alpha=0.3)
    return axes
