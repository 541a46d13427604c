import numpy as np
import pytest
from detections import CLASSES, scenes
from matplotlib.figure import Figure

from kvision import plots
from kvision.checks import UserError
from kvision.metrics import average_precision
from kvision.objects import Objects


def area(line) -> float:
    """Area under a line that is drawn with steps before its points."""
    x, y = line.get_data()
    return float(np.diff(x) @ y[1:])


def test_the_area_under_each_curve_is_its_average_precision():
    drawn, found = scenes(30)
    result = average_precision(found, drawn, CLASSES, ious=[0.5, 0.75], method="voc10")
    for column, iou in enumerate(result.ious):
        axes = plots.precision_recall(Figure().subplots(), result, ["a", "$b", "_c"], iou=iou)
        assert np.allclose([area(line) for line in axes.lines], result.values[:, column])
        assert all(line.get_drawstyle() == "steps-pre" for line in axes.lines)
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert texts == [f"{n} {v:.2f}" for n, v in zip(["a", "$b", "_c"], result.values[:, column], strict=True)]


def test_classes_without_objects_have_no_curve_and_without_detections_an_empty_one():
    box, none = np.array([[0, 0, 9, 9]], "float32"), np.zeros((0, 4), "float32")
    found = [Objects(none, np.zeros(0, int), np.zeros(0))]
    result = average_precision(found, [Objects(box, np.array([1]))], 2)
    axes = plots.precision_recall(Figure().subplots(), result, ["a", "b"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["b 0.00"]
    assert area(axes.lines[0]) == 0
    with pytest.raises(UserError, match="`iou`"):
        plots.precision_recall(Figure().subplots(), result, ["a", "b"], iou=0.3)


def test_many_classes_have_no_legend():
    drawn, found = scenes(5)
    result = average_precision(found, drawn, 30, ious=[0.5])
    axes = plots.precision_recall(Figure().subplots(), result, [f"class {i}" for i in range(30)])
    assert axes.get_legend() is None and len(axes.lines) == CLASSES
