"""Accuracies side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["accuracy_bars"]


def accuracy_bars(axes: "Axes", results: Mapping[str, Mapping]) -> "Axes":
    """One bar a result with its interval. results: {name: {"accuracy": a, "interval": [low, high]}} in [0, 1]."""
    names = list(results)
    heights = [results[name]["accuracy"] for name in names]
    lows, highs = zip(*(results[name]["interval"] for name in names), strict=True)
    errors = [
        [max(h - low, 0) for h, low in zip(heights, lows, strict=True)],
        [max(high - h, 0) for h, high in zip(heights, highs, strict=True)],
    ]
    texts, properties = drawn(names)
    bars = axes.bar(range(len(names)), heights, yerr=errors, capsize=6, color="#4878a8")
    axes.bar_label(bars, [f"{100 * h:.1f} %" for h in heights], label_type="center", color="white")
    axes.set_xticks(range(len(names)), texts, **properties)
    axes.set(ylim=(0, 1), ylabel="accuracy on held-out images (bars: 95 % interval)")
    return axes
