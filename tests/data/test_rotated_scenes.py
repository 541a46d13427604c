import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return kv.data.rotated_scenes(tmp_path_factory.mktemp("a") / "scenes", train=8, val=2)


def test_boxes_are_tight_at_any_angle(folder):
    images = kv.data.from_boxes(folder, progress=False)
    assert images.rotated and images.part.tolist() == ["train"] * 8 + ["test"] * 2 and not images.bad
    assert images.class_names == ("arrow", "bar", "car", "ellipse") and images.sizes[0] == (256, 256)
    assert {len(one.labels) for one in images.objects} <= set(range(3, 9))
    errors, angles = [], []
    rows, columns = np.mgrid[:256, :256] + 0.5
    for i in range(10):
        image, objects = images.example(i)
        for y, x, height, width, angle in objects.boxes.tolist():
            along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
            across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
            color = image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean((0, 1))
            inside = np.linalg.norm(image - color, axis=-1) < 40
            inside &= (abs(along) < width / 2 + 4) & (abs(across) < height / 2 + 4)
            ends = [side(axis[inside]) for axis in (along, across) for side in (np.min, np.max)]
            errors.append(np.abs(np.array(ends) - np.array([-width, width, -height, height]) / 2).max())
            angles.append(angle)
            assert width >= height
    assert np.mean(np.array(errors) < 2.5) > 0.9 and np.median(errors) < 1.5
    assert np.ptp(angles) > 2.5


def test_the_seed_decides_and_a_folder_is_not_changed(folder, tmp_path):
    def content(place):
        return {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}

    before = content(folder)
    assert kv.data.rotated_scenes(folder, train=3) == folder and content(folder) == before
    few = content(kv.data.rotated_scenes(tmp_path / "again", train=2, val=1))
    other = content(kv.data.rotated_scenes(tmp_path / "other", train=2, val=1, seed=1))
    assert len(few) == 6 and all(few[path] == before[path] != other[path] for path in few)


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="`val`"):
        kv.data.rotated_scenes(tmp_path / "new", val=0)
