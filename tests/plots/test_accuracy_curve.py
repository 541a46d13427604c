import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.plots import accuracy_curve  # noqa: E402


def test_a_line_for_each_way_with_its_intervals():
    rows = {10: {"accuracy": 0.3, "interval": [0.2, 0.5]}, 100: {"accuracy": 0.7, "interval": [0.65, 0.75]}}
    axes = accuracy_curve(figure.Figure().subplots(), {"frozen": rows, "small": rows})
    first, _ = axes.containers
    assert first.lines[0].get_xdata().tolist() == [10, 100] and first.lines[0].get_ydata().tolist() == [0.3, 0.7]
    (segments,) = (lines.get_segments() for lines in first.lines[2])
    assert [segment[:, 1].tolist() for segment in segments] == [pytest.approx([0.2, 0.5]), pytest.approx([0.65, 0.75])]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["frozen", "small"]
