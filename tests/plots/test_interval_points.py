import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.plots import interval_points  # noqa: E402


def test_points_stand_at_their_values_with_their_intervals():
    results = {"ridge": {"accuracy": 0.7, "interval": [0.6, 0.75]}, "1nn": {"accuracy": 0.5, "interval": [0.45, 0.55]}}
    axes = interval_points(figure.Figure().subplots(), results)
    (points,) = axes.containers
    assert points.lines[0].get_xdata().tolist() == [0.7, 0.5]
    (segments,) = (lines.get_segments() for lines in points.lines[2])
    assert [segment[:, 0].tolist() for segment in segments] == [pytest.approx([0.6, 0.75]), pytest.approx([0.45, 0.55])]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ridge", "1nn"]
    low, high = axes.get_ylim()
    assert low > high, "the first is at the top"
