import numpy as np
import pytest

from kvision.detection import rotated_iou, rotated_segments
from kvision.ops import rotated_boxes

cv2 = pytest.importorskip("cv2")


def test_covers_planted_rotated_rectangles():
    random = np.random.default_rng(0)
    image = np.full((160, 200, 3), 40, "uint8") + random.integers(0, 6, (160, 200, 3)).astype("uint8")
    boxes = np.array([[45, 50, 24, 70, 0.5], [110, 140, 30, 60, -0.9]], "float32")
    for color, corners in zip(((220, 60, 60), (60, 200, 90)), np.asarray(rotated_boxes.corners(boxes)), strict=True):
        cv2.fillPoly(image, [np.rint(corners[:, ::-1]).astype("int32")], color)
    found = rotated_segments(image)
    assert np.asarray(rotated_iou(found, boxes)).max(0).min() > 0.8
    assert (found[:, 3] >= found[:, 2]).all() and np.array_equal(found, rotated_segments(image))
