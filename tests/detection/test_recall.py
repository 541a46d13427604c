import numpy as np
import pytest

from kvision import checks
from kvision.detection import Objects, recall

DRAWN = Objects(np.array([[0, 0, 10, 10], [20, 20, 40, 40.0]], "float32"), np.array([0, 1]))


def test_recall_grows_with_the_count_to_the_objects_that_are_covered():
    proposals = np.array([[50, 50, 60, 60], [0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 40, 29]], "float32")
    assert recall([proposals], [DRAWN], [0, 1, 2, 4]).tolist() == [0, 0, 0.5, 0.5]
    assert recall([proposals], [DRAWN], [4], iou=0.4).tolist() == [1]


def test_difficult_objects_empty_images_and_rotated_boxes():
    nothing, hard = np.zeros((0, 4), "float32"), DRAWN._replace(difficult=np.array([True, False]))
    assert recall([DRAWN.boxes[1:]], [hard], [1]).tolist() == [1]
    assert recall([nothing], [DRAWN], [5]).tolist() == [0]
    assert np.isnan(recall([nothing], [Objects(nothing, np.zeros(0, int))], [5])).all()
    turned = Objects(np.array([[50, 50, 10, 40, 0.5]], "float32"), np.array([0]))
    assert recall([turned.boxes], [turned], [1]).tolist() == [1]
    assert recall([turned.boxes + np.array([0, 0, 0, 0, 1.5])], [turned], [1]).tolist() == [0]


def test_as_many_images():
    with pytest.raises(checks.UserError, match="`proposals`"):
        recall([], [DRAWN], [1])
