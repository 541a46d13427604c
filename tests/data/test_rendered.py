import numpy as np
import pytest

import kvision as kv
from kvision.data import rendered
from kvision.objects import Objects

BOX = np.array([[2, 3, 12, 9]], "float32")
TURNED = np.array([[10, 12, 4, 9, 0.3]], "float32")


@pytest.mark.parametrize(("layout", "box"), [("coco", BOX), ("voc", BOX), ("dota", TURNED)])
def test_scenes_are_read_again(tmp_path, layout, box):
    image = np.arange(20 * 24 * 3).reshape(20, 24, 3).astype("uint8")
    scenes = [(part, image + i, Objects(box, np.array([i]))) for i, part in enumerate(("train", "train", "val"))]
    rendered.write(tmp_path / "new", layout, ("a", "b", "c"), iter(scenes))
    found = kv.data.from_boxes(tmp_path / "new", progress=False)
    assert found.class_names == ("a", "b", "c") and found.part.tolist() == ["train", "train", "test"] and not found.bad
    for i, (_, picture, _) in enumerate(scenes):
        np.testing.assert_array_equal(found.original(i), picture)
        np.testing.assert_allclose(found.objects[i].boxes, box, atol=0.02)
        assert found.objects[i].labels.tolist() == [i]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_nothing_is_left_if_drawing_fails(tmp_path):
    def scenes():
        yield "train", np.zeros((8, 8, 3), "uint8"), Objects(BOX, np.array([0]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rendered.write(tmp_path / "new", "coco", ("a",), scenes())
    assert not list(tmp_path.iterdir())


def test_blur_and_noise_are_weak():
    plain = np.full((30, 30, 3), 100.0)
    found = rendered.finished(plain, np.random.default_rng(0))
    assert found.dtype == np.uint8 and 3 < found.std() < 7 and abs(found.mean() - 100) < 1
