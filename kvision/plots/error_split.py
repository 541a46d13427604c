"""Draws the errors of a detector by their kind."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kvision.metrics import DetectionErrors

__all__ = ["error_split"]

_TEXTS = {
    "right": "right",
    "duplicate": "duplicate",
    "confusion": "wrong class",
    "localization": "wrong place",
    "both": "wrong class and place",
    "background": "background",
    "missed": "missed object",
}


def error_split(axes: "Axes", errors: "DetectionErrors") -> "Axes":
    """Draws a horizontal bar for the right detections, for each kind of error, and for the missed objects.

    Args:
        axes: Where to draw.
        errors: The result of `kv.metrics.detection_errors`. The counts of all classes are added.

    Returns:
        `axes`.
    """
    counts = [errors.total[name] for name in _TEXTS]
    colors = ["#4878a8" if name == "right" else "#d98c3f" for name in _TEXTS]
    bars = axes.barh(range(len(counts)), counts, color=colors)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
    axes.set_yticks(range(len(counts)), list(_TEXTS.values()))
    axes.set(xlabel="detections, and missed objects", xlim=(0, 1.15 * max(*counts, 1)))
    axes.invert_yaxis()
    return axes
