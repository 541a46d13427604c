import pytest
from boxed import check_round_trip, picture

from kvision import checks
from kvision.data import from_boxes


def test_round_trip(tmp_path):
    check_round_trip(tmp_path, "yolo", keeps_difficult=False)


def test_yolo_needs_class_names(tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n5 0.5 0.5 0.1 0.1\n0 0.5\n")
    with pytest.raises(checks.UserError, match=r"classes\.txt"):
        from_boxes(tmp_path, progress=False)
    (tmp_path / "classes.txt").write_text("cell\n")
    found = from_boxes(tmp_path, progress=False)
    assert found.objects[0].boxes.tolist() == [[10, 15, 30, 45]] and len(found.bad) == 2


@pytest.mark.parametrize("text", ["names: [cell, other]", "names:\n  0: cell\n  1: other\n"])
def test_class_names_in_yaml(tmp_path, text):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text(text)
    assert from_boxes(tmp_path, progress=False).class_names == ("cell", "other")
