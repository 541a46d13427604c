import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.plots import accuracy_bars  # noqa: E402


def test_bars_stand_at_their_accuracies_with_their_intervals():
    results = {"knn": {"accuracy": 0.7, "interval": [0.6, 0.75]}, "forest": {"accuracy": 0.9, "interval": [0.8, 0.95]}}
    axes = accuracy_bars(figure.Figure().subplots(), results)
    (bars,) = [c for c in axes.containers if hasattr(c, "errorbar")]
    errors = bars.errorbar
    assert [bar.get_height() for bar in bars] == [0.7, 0.9]
    (segments,) = (lines.get_segments() for lines in errors.lines[2])
    assert [segment[:, 1].tolist() for segment in segments] == [
        pytest.approx([0.6, 0.75]),
        pytest.approx([0.8, 0.95]),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["knn", "forest"]
