from matplotlib.figure import Figure

from kvision import plots


def test_one_line_for_each_proposer_on_a_logarithmic_axis():
    recalls = {"grid": [0.1, 0.4, 0.5], "_search": [0.3, 0.8, 0.9]}
    axes = plots.recall_curve(Figure().subplots(), [10, 100, 1000], recalls)
    assert [list(line.get_ydata()) for line in axes.lines] == list(recalls.values())
    assert list(axes.lines[0].get_xdata()) == [10, 100, 1000] and axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["grid", "_search"]
