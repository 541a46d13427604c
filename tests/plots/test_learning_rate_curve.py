import numpy as np
import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.plots import learning_rate_curve  # noqa: E402
from kvision.schedules import FoundLearningRate  # noqa: E402


def test_losses_over_rates_with_the_suggestion_marked():
    found = FoundLearningRate(np.array([1e-4, 1e-3, 1e-2]), np.array([3.0, 1.0, 5.0]), 5e-4)
    axes = learning_rate_curve(figure.Figure().subplots(), found)
    curve, mark = axes.get_lines()
    assert curve.get_xydata().tolist() == [[1e-4, 3.0], [1e-3, 1.0], [1e-2, 5.0]]
    assert set(mark.get_xdata()) == {5e-4} and axes.get_xscale() == "log"
    assert axes.get_legend().get_texts()[0].get_text() == "suggestion 5.0e-04"
