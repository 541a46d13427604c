"""The learning-rate range test as a picture."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kvision.schedules import FoundRate

__all__ = ["rate_curve"]


def rate_curve(axes: "Axes", found: "FoundRate") -> "Axes":
    """The smoothed loss over the rate on a logarithmic axis, with the suggestion marked. found: of
    `kv.schedules.find_rate`."""
    axes.plot(found.rates, found.losses, color="#4878a8")
    axes.axvline(found.suggestion, color="#c44e52", linestyle="--", label=f"suggestion {found.suggestion:.1e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)")
    axes.legend()
    return axes
