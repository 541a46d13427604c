"""Draws the loss of a training by epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["training_curve"]


def training_curve(axes: "Axes", history: Mapping[str, Sequence[float]]) -> "Axes":
    """Draws the loss of each epoch. If they are known, also draws the loss on validation images and the loss at chance.

    Args:
        axes: Where to draw.
        history: Logs by name, with one value for each epoch, such as `kv.training.fit(...).history`. The logs `"loss"`,
            `"val_loss"` and `"trivial"` are drawn.

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = kv.plots.training_curve(Figure().subplots(), {"loss": [3.0, 2.0], "val_loss": [3.1, 2.5]})
    """
    for name, (label, color, style) in {
        "loss": ("loss", "#4878a8", "-"),
        "val_loss": ("loss on validation images", "#d98c3f", "-"),
        "trivial": ("loss at chance", "#888888", "--"),
    }.items():
        if values := history.get(name):
            axes.plot(range(1, len(values) + 1), values, style, color=color, label=label)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend()
    return axes
