import numpy as np
from boxed import check_round_trip, picture

from kvision.data import from_boxes


def test_round_trip(tmp_path):
    check_round_trip(tmp_path, "dota")


def test_rotated_boxes_and_lines_that_are_none(tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labelTxt").mkdir()
    lines = ["imagesource:none", "gsd:0.1", "20 5 30 15 20 25 10 15 ship 1", "1 2 3 ship 0"]
    (tmp_path / "labelTxt" / "a.txt").write_text("\n".join(lines))
    found = from_boxes(tmp_path, progress=False)
    assert found.rotated and found.class_names == ("ship",) and len(found.bad) == 1
    side = np.hypot(10, 10)
    assert np.allclose(found.objects[0].boxes[0, :4], [15, 20, side, side], atol=1e-4)
    assert found.objects[0].difficult.tolist() == [True]
