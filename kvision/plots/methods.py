"""Pre-training methods side by side."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from kvision import checks
from kvision.plots.names import drawn, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Judged", "method_table"]

UNTRAINED = "untrained"
_STYLES = ("--", ":", "-.")  # of one encoder, another, a third
_MEASURES = {"knn": ("KNN", "#4878a8"), "linear": ("linear probe", "#d98c3f")}


class Judged(Protocol):
    """What is known of an encoder: `kv.selfsup.Evaluation`, or anything with these accuracies and intervals."""

    @property
    def knn(self) -> float: ...
    @property
    def knn_interval(self) -> tuple[float, float]: ...
    @property
    def linear(self) -> float: ...
    @property
    def linear_interval(self) -> tuple[float, float]: ...


def method_table(axes: "Axes", rows: Mapping[str, Judged]) -> "Axes":
    """Horizontal bars of KNN and linear accuracy with their intervals, a pair a method, the first on top.

    rows: {method: kv.selfsup.Evaluation}. A row whose name begins with "untrained" is no pair of bars but two broken
    lines: what a method with that encoder has learned is what lies beyond them. Raises UserError where no other row is
    there.
    """
    methods = [name for name in rows if not name.startswith(UNTRAINED)]
    styles = dict(zip([name for name in rows if name.startswith(UNTRAINED)], itertools.cycle(_STYLES), strict=False))
    if not methods:
        raise checks.error("rows", expected="at least one method beside 'untrained'", received=list(rows))
    height = 0.38
    for shift, (measure, (text, color)) in zip((-height / 2, height / 2), _MEASURES.items(), strict=True):
        values = [float(getattr(rows[name], measure)) for name in methods]
        lows, highs = zip(*(getattr(rows[name], f"{measure}_interval") for name in methods), strict=True)
        errors = [
            [max(value - low, 0) for value, low in zip(values, lows, strict=True)],
            [max(high - value, 0) for value, high in zip(values, highs, strict=True)],
        ]
        places = [index + shift for index in range(len(methods))]
        bars = axes.barh(places, values, height, xerr=errors, capsize=3, color=color, label=text)
        axes.bar_label(bars, [f"{100 * value:.1f} %" for value in values], label_type="center", color="white")
        for name, style in styles.items():
            line = float(getattr(rows[name], measure))
            axes.axvline(line, color=color, linestyle=style, label=f"{text}, {name} {100 * line:.1f} %")
    labels, properties = drawn(methods)
    axes.set_yticks(range(len(methods)), labels, **properties)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy on held-out images (bars: 95 % interval)")
    axes.invert_yaxis()
    legend(axes, *axes.get_legend_handles_labels(), fontsize="small")
    return axes
