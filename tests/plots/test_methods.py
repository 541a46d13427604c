from types import SimpleNamespace

import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.checks import UserError  # noqa: E402
from kvision.plots import method_table  # noqa: E402


def row(knn, linear):
    return SimpleNamespace(
        knn=knn, knn_interval=(knn - 0.1, knn + 0.05), linear=linear, linear_interval=(linear - 0.02, linear + 0.02)
    )


ROWS = {"simclr": row(0.6, 0.7), "untrained": row(0.3, 0.4), "moco": row(0.5, 0.8)}


def test_a_pair_of_bars_a_method_with_intervals_and_untrained_as_lines():
    axes = method_table(figure.Figure().subplots(), ROWS)
    knn, linear = [c for c in axes.containers if hasattr(c, "errorbar")]
    assert [bar.get_width() for bar in knn] == [0.6, 0.5] and [bar.get_width() for bar in linear] == [0.7, 0.8]
    (segments,) = (lines.get_segments() for lines in knn.errorbar.lines[2])
    assert [segment[:, 0].tolist() for segment in segments] == [pytest.approx([0.5, 0.65]), pytest.approx([0.4, 0.55])]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["simclr", "moco"]
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert [set(line.get_xdata()) for line in dashed] == [{0.3}, {0.4}]
    assert [line.get_color() for line in dashed] == ["#4878a8", "#d98c3f"]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(texts) == ["KNN", "KNN, untrained 30.0 %", "linear probe", "linear probe, untrained 40.0 %"]
    top, bottom = axes.get_ylim()
    assert top > bottom, "the first on top"
    assert knn[0].get_y() + knn[0].get_height() == pytest.approx(linear[0].get_y()), "side by side"


def test_each_untrained_encoder_has_lines_of_its_own():
    rows = {"untrained ResNet18": row(0.3, 0.4), "untrained ViT": row(0.2, 0.45), "moco": row(0.5, 0.8)}
    axes = method_table(figure.Figure().subplots(), rows)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["moco"]
    lines = {line.get_label(): (line.get_linestyle(), line.get_xdata()[0]) for line in axes.get_lines()}
    assert lines["KNN, untrained ResNet18 30.0 %"] == ("--", 0.3)
    assert lines["linear probe, untrained ResNet18 40.0 %"] == ("--", 0.4)
    assert lines["KNN, untrained ViT 20.0 %"] == (":", 0.2)
    assert lines["linear probe, untrained ViT 45.0 %"] == (":", 0.45)


def test_without_untrained_there_are_no_lines_and_without_a_method_there_is_no_picture():
    axes = method_table(figure.Figure().subplots(), {"moco": row(0.5, 0.8)})
    assert not [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    with pytest.raises(UserError, match=r"`rows` .*beside 'untrained'"):
        method_table(figure.Figure().subplots(), {"untrained": row(0.3, 0.4)})
