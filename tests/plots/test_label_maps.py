import numpy as np
import pytest
from matplotlib.figure import Figure

from kvision import plots
from kvision.checks import UserError

COLORS = [(0, 0, 0), (200, 0, 0), (0, 200, 0)]


def axes():
    return Figure().subplots()


def test_rows_of_image_prediction_and_reference():
    image = np.full((10, 12, 3), 77, "uint8")
    predicted, reference = np.ones((10, 12), "uint8"), np.full((10, 12), 255, "uint8")
    small = (image[:6, :8], predicted[:6, :8], reference[:6, :8])
    drawn = plots.label_maps(
        axes(), [image, small[0]], [predicted, small[1]], [reference, small[2]], ["a", "b", "c"], COLORS
    )
    shown = drawn.images[0].get_array()
    assert shown.shape[1] >= 3 * 12 and shown.shape[0] >= 16
    assert shown[0, 0].tolist() == [77] * 3 and shown[0, 16].tolist() == [200, 0, 0]
    assert shown[0, 32].tolist() == [255] * 3, "what does not count is white"
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["b"], "classes that occur"
    assert [label.get_text() for label in drawn.get_xticklabels()] == ["image", "prediction", "reference"]
    with pytest.raises(UserError, match="`images` are empty"):
        plots.label_maps(axes(), [], [], [], ["a"], COLORS)


def test_edges_are_one_more_column():
    image, labels = np.full((10, 12, 3), 77, "uint8"), np.ones((10, 12), "uint8")
    edges = np.tile(np.arange(12, dtype="uint8"), (10, 1))
    drawn = plots.label_maps(axes(), [image], [labels], [labels], ["a", "b", "c"], COLORS, edges=[edges])
    shown = drawn.images[0].get_array()
    assert shown[5, 48:60].tolist() == [[value] * 3 for value in range(12)]
    assert [label.get_text() for label in drawn.get_xticklabels()][3:] == ["edges"]


def test_bars_of_classes():
    drawn = plots.class_bars(axes(), [0.5, float("nan"), 1.0], ["a", "b", "c"], label="IoU")
    assert [bar.get_width() for bar in drawn.patches] == [0.5, 0, 1.0]
    assert [text.get_text() for text in drawn.texts] == ["0.50", "-", "1.00"] and drawn.get_xlabel() == "IoU"
