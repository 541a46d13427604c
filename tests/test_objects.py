import numpy as np
import pytest

from kvision.objects import Objects, countable, rows

ONE = Objects(
    np.array([[1, 2, 3, 4], [5, 6, 7, 8]], "float32"), np.array([3, 1], "int32"), difficult=np.array([True, False])
)
NONE = Objects(np.zeros((0, 4), "float32"), np.zeros(0, "int32"))


def test_difficult_objects_are_left_out():
    found = countable(ONE._replace(scores=np.array([0.5, 0.25])))
    assert found.boxes.tolist() == [[5, 6, 7, 8]] and found.labels.tolist() == [1] and found.scores.tolist() == [0.25]
    assert countable(NONE) is NONE


def test_rows_hold_boxes_and_labels_and_mark_the_unused():
    found = rows([ONE, NONE, ONE._replace(difficult=None)], 2)
    assert found.dtype == np.float32
    unused = [0, 0, 0, 0, -1]
    assert found.tolist() == [
        [[5, 6, 7, 8, 1], unused],
        [unused, unused],
        [[1, 2, 3, 4, 3], [5, 6, 7, 8, 1]],
    ]
    assert rows([NONE._replace(boxes=np.zeros((0, 5)))], 1).tolist() == [[[0, 0, 0, 0, 0, -1]]]
    with pytest.raises(ValueError, match="broadcast"):
        rows([ONE._replace(difficult=None)], 1)
