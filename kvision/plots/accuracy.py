"""Draws accuracies side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["accuracy_bars", "error_lengths"]


def accuracy_bars(axes: "Axes", results: Mapping[str, Mapping]) -> "Axes":
    """Draws a bar for each accuracy, with its interval.

    Args:
        axes: Where to draw.
        results: Accuracies and intervals in [0, 1] by name: `{"knn": {"accuracy": 0.7, "interval": [0.6, 0.8]}}`.

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> results = {"knn": {"accuracy": 0.7, "interval": [0.6, 0.8]}}
        >>> axes = kv.plots.accuracy_bars(Figure().subplots(), results)
    """
    heights = [row["accuracy"] for row in results.values()]
    errors = error_lengths(heights, [row["interval"] for row in results.values()])
    texts, properties = drawn(list(results))
    bars = axes.bar(range(len(heights)), heights, yerr=errors, capsize=6, color="#4878a8")
    axes.bar_label(bars, [f"{100 * height:.1f} %" for height in heights], label_type="center", color="white")
    axes.set_xticks(range(len(heights)), texts, **properties)
    axes.set(ylim=(0, 1), ylabel="accuracy on test images (bars: 95 % interval)")
    return axes


def error_lengths(values: Sequence[float], intervals: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns the lengths of error bars below and above the values, in the form that matplotlib takes."""
    pairs = list(zip(values, intervals, strict=True))
    return [[max(value - low, 0) for value, (low, _) in pairs], [max(high - value, 0) for value, (_, high) in pairs]]
