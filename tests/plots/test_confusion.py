import numpy as np
import pytest

figure = pytest.importorskip("matplotlib.figure", reason="needs the extra `plots`")

from kvision.plots import confusion_matrix  # noqa: E402


def test_rows_are_true_classes_and_absent_ones_are_shown():
    axes = confusion_matrix(figure.Figure().subplots(), np.array([0, 0, 1]), np.array([1, 1, 1]), ["a", "b", "c"])
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0, 2, 0], [0, 1, 0], [0, 0, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]


def test_many_classes_leave_out_names():
    labels = np.arange(40)
    axes = confusion_matrix(figure.Figure().subplots(), labels, labels, [f"class {i}" for i in range(40)])
    assert axes.images[0].get_array().shape == (40, 40) and not axes.texts


def test_large_counts_are_written_out():
    labels = np.repeat([0, 1], [99_999, 5])
    axes = confusion_matrix(figure.Figure().subplots(), labels, labels, ["a", "b"])
    assert [text.get_text() for text in axes.texts] == ["99,999", "0", "0", "5"]
