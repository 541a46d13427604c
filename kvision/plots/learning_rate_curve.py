"""Draws the result of the learning-rate range test."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kvision.schedules import FoundLearningRate

__all__ = ["learning_rate_curve"]


def learning_rate_curve(axes: "Axes", found: "FoundLearningRate") -> "Axes":
    """Draws the smoothed loss over the learning rate on a logarithmic axis, and marks the suggestion.

    Args:
        axes: Where to draw.
        found: The result of `kv.schedules.find_learning_rate`.

    Returns:
        `axes`.
    """
    axes.plot(found.learning_rates, found.losses, color="#4878a8")
    axes.axvline(found.suggestion, color="#c44e52", linestyle="--", label=f"suggestion {found.suggestion:.1e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)")
    axes.legend()
    return axes
