"""Draws accuracy against the number of labeled images."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvision.plots.accuracy import error_lengths

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["accuracy_curve"]


def accuracy_curve(axes: "Axes", curves: Mapping[str, Mapping[int, Mapping]]) -> "Axes":
    """Draws a line for each way of training, with intervals.

    Args:
        axes: Where to draw.
        curves: By the name of a way and the number of labels: a row with "accuracy" and "interval", both in [0, 1].

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> row = {"accuracy": 0.6, "interval": [0.55, 0.65]}
        >>> axes = kv.plots.accuracy_curve(Figure().subplots(), {"frozen": {10: row, 100: row}})
    """
    for name, rows in curves.items():
        values = [row["accuracy"] for row in rows.values()]
        errors = error_lengths(values, [row["interval"] for row in rows.values()])
        axes.errorbar(list(rows), values, yerr=errors, marker="o", capsize=4, label=name)
    axes.set(xscale="log", ylim=(0, 1), xlabel="labeled images", ylabel="accuracy on test images (bars: 95 % interval)")
    axes.grid(alpha=0.3)
    axes.legend()
    return axes
