import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.checks import UserError


@pytest.fixture
def coco(tmp_path):
    """Two images: overlapping polygons, a crowd as run lengths (column by column), and one without anything."""
    photographs = tmp_path / "photos"
    photographs.mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (12, 10)).save(photographs / name)

    def box(top, left, bottom, right):
        return [[left, top, right, top, right, bottom, left, bottom]]

    crowd = {"size": [10, 12], "counts": [0, 20, 100]}  # the first two columns
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 7, "area": 4, "iscrowd": 0, "segmentation": box(4, 4, 6, 6)},
        {"id": 2, "image_id": 1, "category_id": 3, "area": 36, "iscrowd": 0, "segmentation": box(2, 2, 8, 8)},
        {"id": 3, "image_id": 1, "category_id": 3, "area": 20, "iscrowd": 1, "segmentation": crowd},
    ]
    images = [
        {"id": number, "file_name": name, "height": 10, "width": 12}
        for number, name in enumerate(("a.jpg", "b.jpg", "gone.jpg"), 1)
    ]
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path, photographs


def test_instances_become_labels_the_smaller_in_front(coco, tmp_path):
    assert kv.data.coco_masks(*coco, tmp_path / "out", progress=False) == ["gone.jpg"]
    known = kv.data.label_map(tmp_path / "out/classes.txt")
    assert known.names == ("background", "dog", "cat")
    found = kv.data.masks(tmp_path / "out", known, progress=False)
    assert found.names == ("images/a.jpg", "images/b.jpg") and not found.bad
    expected = np.zeros((10, 12), "uint8")
    expected[:, :2] = 255
    expected[2:8, 2:8] = 1
    expected[4:6, 4:6] = 2
    np.testing.assert_array_equal(found.mask(0), expected)
    assert not found.mask(1).any()


def test_the_command_goes_on_where_it_was(coco, tmp_path):
    command = [sys.executable, "-m", "kvision", "coco-masks", *map(str, coco), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and "gone.jpg: is not in" in result.stderr and "kvision segment" in result.stdout
    kept, other = tmp_path / "out/masks/a.png", tmp_path / "out/masks/b.png"
    before = kept.stat().st_mtime_ns
    other.unlink()
    subprocess.run(command, capture_output=True)
    assert kept.stat().st_mtime_ns == before and other.is_file()
    (tmp_path / "bad.json").write_text("[]")
    result = subprocess.run([*command[:4], str(tmp_path / "bad.json"), *command[5:]], capture_output=True, text=True)
    assert result.returncode == 2 and "instances_val2017.json" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("index", "change", "text"),
    [
        (0, {"segmentation": []}, None),
        (0, {"segmentation": [[1, 2]]}, None),
        (0, {"segmentation": None}, None),
        (0, {"category_id": 99}, "KeyError: 99"),
        (2, {"segmentation": {"size": [20000, 20000], "counts": [0]}}, "run lengths of"),
        (0, {"area": None}, "cannot be drawn"),
    ],
)
def test_odd_annotations_are_boxes_alone_or_named(coco, tmp_path, index, change, text):
    path, photographs = coco
    content = json.loads(path.read_text())
    content["annotations"][index] |= change
    path.write_text(json.dumps(content))
    if text is None:
        kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)
        return
    with pytest.raises(UserError, match=f"'a.jpg' cannot be drawn.*{text}" if "drawn" not in text else text):
        kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)


def test_a_folder_of_other_images_is_not_mixed(coco, tmp_path):
    path, photographs = coco
    kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)
    (tmp_path / "others").mkdir()
    with pytest.raises(UserError, match="`folder` has other images"):
        kv.data.coco_masks(path, tmp_path / "others", tmp_path / "out", progress=False)


def test_paths_that_lead_out_are_refused(coco, tmp_path):
    path, photographs = coco
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "../a.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="file names below the folder"):
        kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)
    with pytest.raises(UserError, match="`images` names no folder"):
        kv.data.coco_masks(path, tmp_path / "nowhere", tmp_path / "out", progress=False)
