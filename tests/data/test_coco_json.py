import json

import pytest
from boxed import check_round_trip, picture

from kvision import checks
from kvision.data import from_boxes


def test_round_trip(tmp_path):
    check_round_trip(tmp_path, "coco")


def test_coco_of_several_kinds_of_folders(tmp_path):
    content = {
        "images": [{"id": 7, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20], "iscrowd": 1},
            {"id": 2, "image_id": 7, "category_id": 9, "bbox": [1, 2, 10, 20]},
            {"id": 3, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10]},
        ],
        "categories": [{"id": 3, "name": "cat"}],
    }
    for part in ("train2017", "val2017"):
        picture(tmp_path / "a" / part / "a.png")
        (tmp_path / "a" / "annotations").mkdir(exist_ok=True)
        (tmp_path / "a" / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
        (tmp_path / "a" / "annotations" / f"captions_{part}.json").write_text("{}")
        short = part.removesuffix("2017")
        picture(tmp_path / "b" / short / "a.png")
        (tmp_path / "b" / short / "_annotations.coco.json").write_text(json.dumps(content))
    for folder in ("a", "b"):
        found = from_boxes(tmp_path / folder, progress=False)
        assert found.part.tolist() == ["train", "test"] and found.objects[0].boxes.tolist() == [[2, 1, 22, 11]]
        assert found.objects[0].difficult.tolist() == [True] and len(found.bad) == 4


def test_a_file_that_is_no_annotation_is_refused(tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "annotations.json").write_text("[1]")
    with pytest.raises(checks.UserError, match="cannot be read"):
        from_boxes(tmp_path, progress=False)


def test_images_of_equal_names_in_two_parts_are_not_mixed_up(tmp_path):
    content = {"annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    content["images"] = [{"id": 1, "file_name": "a.png"}]
    (tmp_path / "annotations").mkdir()
    for value, part in {10: "train2017", 200: "val2017"}.items():
        picture(tmp_path / part / "a.png", value=value)
        (tmp_path / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
    found = from_boxes(tmp_path, progress=False)
    assert found.names == ("train2017/a.png", "val2017/a.png")
    assert [int(found.original(i)[0, 0, 0]) for i in range(2)] == [10, 200]


def test_a_file_name_that_leads_out_of_the_folder_is_refused(tmp_path):
    picture(tmp_path / "images" / "a.png")
    content = {"images": [{"id": 1, "file_name": "../a.png"}], "annotations": [], "categories": []}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(checks.UserError, match="leads out"):
        from_boxes(tmp_path, progress=False)
