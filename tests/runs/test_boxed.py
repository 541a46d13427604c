import dataclasses
import json

import boxed as small
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.data import from_boxes
from kvision.objects import Objects
from kvision.runs import boxed


def objects(*boxes, label: int = 0) -> Objects:
    rows = np.array(boxes, "float32").reshape(-1, 4)
    return Objects(rows, np.full(len(rows), label, "int32"), np.linspace(0.9, 0.6, len(rows)).astype("float32"))


@pytest.fixture
def images(tmp_path):
    return small.plain_set(tmp_path / "voc")


def test_a_perfect_detector_and_one_that_finds_nothing(images):
    perfect = [one._replace(scores=np.ones(len(one.labels), "float32")) for one in images.objects]
    row = boxed.score(perfect, images, seed=0)
    assert row["map_50"] == row["map"] == 1 and row["interval"][1] == 1
    assert row["average_precision_50"] == [1.0, None], "the only dog is difficult"
    assert row["errors"]["missed"] == 0 and row["coco"]["AP"] == 1
    json.dumps(row, allow_nan=False)
    nothing = [objects() for _ in images.objects]
    row = boxed.score(nothing, images, seed=0)
    assert row["map_50"] == 0 and row["errors"]["missed"] == 2
    found = boxed.gain(perfect, nothing, images, seed=0)
    assert found["gain"] == 1 and found["gain_interval"][0] <= 1
    assert boxed.gain(perfect, perfect, images, seed=0) == {"gain": 0, "gain_interval": [0, 0]}


def test_detections_are_written_and_read(tmp_path):
    found = [objects([0, 0, 5, 6], [1, 2, 3, 4]), objects(), objects([2, 2, 9, 9], label=1)]
    boxed.save_objects(found, tmp_path / "found.npz")
    for one, other in zip(found, boxed.load_objects(tmp_path / "found.npz"), strict=True):
        for a, b in zip(one[:3], other[:3], strict=True):
            assert np.array_equal(a, b) and a.dtype == b.dtype
    boxed.save_objects(found, None)


def test_the_data_is_split_and_explained(tmp_path):
    folder = small.voc(
        tmp_path / "voc", {name: [] if name == "c" else [("cat", 0, 1, 1, 10, 20)] for name in "abcdefghij"}
    )
    config = boxed.BoxSettings(data=str(folder), test_fraction=0.3)
    split = boxed.load(config, folder, "voc")
    assert len(split.train) == 7 and len(split.test) == 3 and "7 training, 3 test images" in split.name
    few = boxed.load(dataclasses.replace(config, train_images=2, test_images=1), folder, "voc")
    assert (len(few.train), len(few.test)) == (2, 1) and few.fingerprint != split.fingerprint
    with pytest.raises(UserError, match="`data` has no image that is large enough"):
        boxed.load(config, folder, "voc", smallest=50)


def test_images_without_objects_only_are_refused(tmp_path):
    folder = small.voc(tmp_path / "voc", {name: [] for name in "abcdef"})
    with pytest.raises(UserError, match="`data`"):
        boxed.load(boxed.BoxSettings(data=str(folder)), folder, "voc")


def test_upright_boxes_are_around_rotated_ones(tmp_path):
    images = from_boxes(small.shapes(tmp_path / "dota", train=2, test=1, rotated=True), progress=False)
    upright = boxed.upright(images)
    assert images.rotated and not upright.rotated and upright.fingerprint != images.fingerprint
    for one, other in zip(images.objects, upright.objects, strict=True):
        areas = (other.boxes[:, 2:] - other.boxes[:, :2]).prod(1)
        assert (areas >= one.boxes[:, 2:4].prod(1) - 1e-3).all()
        np.testing.assert_allclose((other.boxes[:, :2] + other.boxes[:, 2:]) / 2, one.boxes[:, :2], atol=1e-3)
