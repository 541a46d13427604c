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
    found = kv.data.from_masks(tmp_path / "out", known, progress=False)
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
        (0, {"category_id": 99}, "KeyError: 99"),
        (2, {"segmentation": {"size": [20000, 20000], "counts": [0]}}, "run lengths of"),
        (0, {"area": None}, "cannot be drawn"),
    ],
)
def test_odd_annotations_are_named(coco, tmp_path, index, change, text):
    path, photographs = coco
    content = json.loads(path.read_text())
    content["annotations"][index] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"'a.jpg' cannot be drawn.*{text}" if "drawn" not in text else text):
        kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)


@pytest.mark.parametrize("outline", [[], [[1, 2]], None])
@pytest.mark.parametrize("box", [True, False])
def test_an_object_without_an_outline_is_no_background(coco, tmp_path, outline, box):
    """255 in its box, which counts for nothing, behind what has an outline."""
    path, photographs = coco
    content = json.loads(path.read_text())
    content["annotations"][0] |= {"segmentation": outline} | ({"bbox": [6, 6, 4, 3]} if box else {})
    path.write_text(json.dumps(content))
    kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)
    expected = np.zeros((10, 12), "uint8")
    expected[:, :2] = 255
    if box:
        expected[6:9, 6:10] = 255
    expected[2:8, 2:8] = 1
    found = kv.data.from_masks(tmp_path / "out", kv.data.label_map(tmp_path / "out/classes.txt"), progress=False)
    np.testing.assert_array_equal(found.mask(0), expected)


def test_annotations_that_share_an_id_are_each_drawn(coco, tmp_path):
    """As tools that number them image by image write them."""
    path, photographs = coco
    content = json.loads(path.read_text())
    kv.data.coco_masks(path, photographs, tmp_path / "own", progress=False)
    path.write_text(json.dumps(content | {"annotations": [one | {"id": 1} for one in content["annotations"]]}))
    kv.data.coco_masks(path, photographs, tmp_path / "shared", progress=False)
    own, alike = ((tmp_path / name / "masks/a.png").read_bytes() for name in ("own", "shared"))
    assert own == alike


def test_a_category_named_background_is_class_0_and_names_differ(coco, tmp_path):
    path, photographs = coco
    content = json.loads(path.read_text())
    content["categories"][1]["name"] = "background"
    path.write_text(json.dumps(content))
    kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)
    known = kv.data.label_map(tmp_path / "out/classes.txt")
    mask = kv.data.from_masks(tmp_path / "out", known, progress=False).mask(0)
    assert known.names == ("background", "cat") and mask[5, 5] == 1 and mask[2, 2] == 0
    content["categories"][1]["name"] = "cat"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="no name twice"):
        kv.data.coco_masks(path, photographs, tmp_path / "other", progress=False)


def test_a_folder_of_others_is_neither_mixed_nor_changed(coco, tmp_path):
    path, photographs = coco
    out = tmp_path / "out"
    kv.data.coco_masks(path, photographs, out, progress=False)
    (tmp_path / "others").mkdir()
    with pytest.raises(UserError, match="`folder` has other images"):
        kv.data.coco_masks(path, tmp_path / "others", out, progress=False)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"annotations": content["annotations"][:1]}))
    with pytest.raises(UserError, match="`folder` has masks of other annotations"):
        kv.data.coco_masks(path, photographs, out, progress=False)
    content["categories"] = [{"id": 7, "name": "eel"}, {"id": 3, "name": "dog"}]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="`folder` has other classes"):
        kv.data.coco_masks(path, photographs, out, progress=False)
    assert (out / "classes.txt").read_text() == "background\ndog\ncat\n"
    own = tmp_path / "own"
    (own / "images").mkdir(parents=True)
    (own / "classes.txt").write_text("mine\n")
    with pytest.raises(UserError, match="`folder` has other images"):
        kv.data.coco_masks(path, photographs, own, progress=False)
    assert (own / "classes.txt").read_text() == "mine\n"


def test_paths_that_lead_out_are_refused(coco, tmp_path):
    path, photographs = coco
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "../a.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="file names below the folder"):
        kv.data.coco_masks(path, photographs, tmp_path / "out", progress=False)
    with pytest.raises(UserError, match="`images` names no folder"):
        kv.data.coco_masks(path, tmp_path / "nowhere", tmp_path / "out", progress=False)
