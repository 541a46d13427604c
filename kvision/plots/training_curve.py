"""How a training went."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["training_curve"]


def training_curve(axes: "Axes", history: Mapping[str, Sequence[float]]) -> "Axes":
    """The loss of each epoch, beside its value at chance where that is known. history: logs by name, one an epoch:
    "loss", and perhaps "trivial" and "val_loss", as `kv.training.fit` gives them."""
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
