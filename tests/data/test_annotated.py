import numpy as np
from boxed import voc

from kvision.data import from_boxes
from kvision.data.annotated import CORNERS, Annotated, checked


def test_bad_objects_are_named_and_the_others_are_kept(tmp_path):
    rows = [
        ("cat", 0, 10, 10, 20, 20),
        ("cat", 0, 30, 10, 20, 20),  # swapped
        ("cat", 0, 70, 10, 90, 20),  # outside
        ("cat", 0, 50, 30, 90, 60),  # reaches outside
        ("cow", 0, 10, 10, 20, 20),  # unknown
        ("cat", 0, 10, 10, 9, 20),  # empty
        ("cat", 0, "inf", 10, 20, 20),
    ]
    found = from_boxes(voc(tmp_path, {"a": rows}), class_names=["cat"], progress=False)
    assert found.objects[0].boxes.tolist() == [[9, 9, 20, 20], [29, 49, 40, 60]]
    reasons = [bad.reason for bad in found.bad]
    for reason, word in zip(reasons, ("swapped", "outside", "no known class", "empty", "finite"), strict=True):
        assert word in reason
    assert "1 boxes" in found.notes[0]


def test_one_pixel_and_border_boxes_are_kept(tmp_path):
    found = from_boxes(voc(tmp_path, {"a": [("cat", 0, 1, 1, 1, 1), ("cat", 0, 60, 40, 60, 40)]}), progress=False)
    assert found.objects[0].boxes.tolist() == [[0, 0, 1, 1], [39, 59, 40, 60]] and not found.bad


def test_corners_become_rotated_boxes(tmp_path):
    points = np.array([[10, 5, 30, 5, 30, 15, 10, 15.0]])  # x and y
    objects, problems, cut = checked(Annotated(tmp_path, CORNERS, points, ("a",), (False,)), (40, 60), ("a",))
    assert np.allclose(objects.boxes, [[10, 20, 10, 20, 0]], atol=1e-5) and not problems and cut == 0
