import numpy as np
import pytest
from matplotlib.figure import Figure

from kvision import plots
from kvision.checks import UserError
from kvision.objects import Objects

NAMES = ["$a", "_b", "c"]


def objects(*rows, labels) -> Objects:
    return Objects(np.array(rows, "float32").reshape(len(labels), -1 if labels else 4), np.array(labels, "int32"))


def draw(images, found, drawn):
    return plots.boxes(Figure().subplots(), images, found, drawn, NAMES)


def test_boxes_lie_at_their_pixels_and_the_legend_names_the_found_classes():
    image = np.zeros((20, 40, 3), "uint8")
    found, drawn = objects([0, 10, 20, 40], [0, 0, 5, 5], labels=[1, 0]), objects([5, 0, 10, 20], labels=[2])
    axes = draw([image, image], [found, objects(labels=[])], [drawn, drawn])
    theirs, first, second, other = axes.patches
    assert theirs.get_linestyle() == "--" and first.get_linestyle() == "solid"
    # 40 pixels have the length 1, and the image lies between 0.25 and 0.75
    assert first.get_xy()[:4].tolist() == [[0.25, 0.25], [1, 0.25], [1, 0.75], [0.25, 0.75]]
    assert theirs.get_xy()[2].tolist() == [0.5, 0.5]
    assert np.allclose(other.get_xy() - theirs.get_xy(), [1.1, 0])
    assert first.get_edgecolor() != second.get_edgecolor()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$a", "_b"]
    axes.figure.canvas.draw()


def test_rotated_boxes_are_polygons():
    image = np.zeros((40, 40, 3), "uint8")
    axes = draw([image], [objects([20, 20, 10, 20, np.pi / 2], labels=[0])], [objects(labels=[])])
    (polygon,) = axes.patches
    assert np.allclose(np.sort(polygon.get_xy()[:4] * 40, axis=0), [[15, 10], [15, 10], [25, 30], [25, 30]], atol=1e-4)


def test_nothing_found_has_no_legend_and_no_images_are_refused():
    image = np.zeros((8, 8, 3), "uint8")
    axes = draw([image], [objects(labels=[])], [objects(labels=[])])
    assert axes.get_legend() is None and not axes.patches
    with pytest.raises(UserError, match="`images` are empty"):
        draw([], [], [])
