import numpy as np
from matplotlib.figure import Figure

from kvision import plots
from kvision.metrics import DetectionErrors
from kvision.metrics.detection_errors import OUTCOMES


def test_bars_show_the_totals_in_order():
    counts = {name: np.array([1000 * i, i]) for i, name in enumerate([*OUTCOMES, "missed"])}
    axes = plots.error_split(Figure().subplots(), DetectionErrors(counts))
    assert [bar.get_width() for bar in axes.patches] == [1001 * i for i in range(7)]
    assert [label.get_text() for label in axes.get_yticklabels()][::6] == ["right", "missed object"]
    assert axes.texts[-1].get_text() == "6,006" and axes.yaxis_inverted()


def test_nothing_at_all_can_be_drawn():
    counts = {name: np.zeros(2, int) for name in (*OUTCOMES, "missed")}
    axes = plots.error_split(Figure().subplots(), DetectionErrors(counts))
    axes.figure.canvas.draw()
    assert axes.get_xlim()[1] > 0
