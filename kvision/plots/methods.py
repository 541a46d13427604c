"""Draws pre-training methods side by side."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from kvision import checks
from kvision.plots.accuracy import error_lengths
from kvision.plots.names import drawn, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Judged", "method_table"]

UNTRAINED = "untrained"  # the row names of untrained encoders begin with this
_STYLES = ("--", ":", "-.")  # line styles of the first, second and third untrained encoder
_MEASURES = {"knn": ("KNN", "#4878a8"), "linear": ("linear probe", "#d98c3f")}


class Judged(Protocol):
    """Accuracies of an encoder, with their intervals, as in `kv.selfsup.Evaluation`."""

    @property
    def knn(self) -> float: ...
    @property
    def knn_interval(self) -> tuple[float, float]: ...
    @property
    def linear(self) -> float: ...
    @property
    def linear_interval(self) -> tuple[float, float]: ...


def method_table(axes: "Axes", rows: Mapping[str, Judged]) -> "Axes":
    """Draws the accuracies of pre-training methods, by KNN and by a linear probe, with their intervals.

    Each method has a pair of horizontal bars, the first method on top. A row with a name that begins with "untrained"
    is drawn as two broken lines. The part of a bar beyond these lines shows what a method with that encoder has
    learned.

    Args:
        axes: Where to draw.
        rows: Results of `kv.selfsup.evaluate` by the name of the method.

    Returns:
        `axes`.

    Raises:
        UserError: If all rows belong to untrained encoders.
    """
    methods = [name for name in rows if not name.startswith(UNTRAINED)]
    styles = dict(zip([name for name in rows if name.startswith(UNTRAINED)], itertools.cycle(_STYLES), strict=False))
    if not methods:
        raise checks.UserError("rows", expected="at least one method beside 'untrained'", received=list(rows))
    height = 0.38
    for shift, (measure, (text, color)) in zip((-height / 2, height / 2), _MEASURES.items(), strict=True):
        values = [float(getattr(rows[name], measure)) for name in methods]
        errors = error_lengths(values, [getattr(rows[name], f"{measure}_interval") for name in methods])
        places = [index + shift for index in range(len(methods))]
        bars = axes.barh(places, values, height, xerr=errors, capsize=3, color=color, label=text)
        axes.bar_label(bars, [f"{100 * value:.1f} %" for value in values], label_type="center", color="white")
        for name, style in styles.items():
            line = float(getattr(rows[name], measure))
            axes.axvline(line, color=color, linestyle=style, label=f"{text}, {name} {100 * line:.1f} %")
    labels, properties = drawn(methods)
    axes.set_yticks(range(len(methods)), labels, **properties)
    axes.set(xlim=(0, 1), xlabel="accuracy on test images (bars: 95 % interval)")
    axes.invert_yaxis()
    legend(axes, *axes.get_legend_handles_labels(), fontsize="small")
    return axes
