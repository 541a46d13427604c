import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.data.shape_objects import _COLORS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return kv.data.shape_objects(tmp_path_factory.mktemp("a") / "shapes", train=24, val=2, size=64)


def test_one_object_of_each_class_in_tight_boxes(folder):
    images = kv.data.from_boxes(folder, progress=False)
    assert images.part.tolist() == ["train"] * 24 + ["test"] * 2 and not images.bad and not images.notes
    assert len(images.class_names) == 100 and images.class_names[3] == "red star"
    assert [one.labels.tolist() for one in images.objects] == [[i] for i in (*range(24), 0, 1)]
    longest, errors = [], []
    for i in range(26):
        image, objects = images.example(i)
        (top, left, bottom, right), name = objects.boxes[0], images.class_names[objects.labels[0]]
        away = np.linalg.norm(image.astype(float) - _COLORS[name.split()[0]], axis=-1)
        y, x = np.nonzero(away < 55)
        assert image.shape == (64, 64, 3)
        ends = [y.min(), x.min(), y.max() + 1, x.max() + 1]
        errors.append(np.abs(objects.boxes[0] - ends).max())
        assert min(top, left) >= 0 and max(bottom, right) <= 64
        longest.append(max(bottom - top, right - left) / 64)
    assert max(errors) < 4 and np.mean(errors) < 1.5, "thin tips are faint in small images"
    assert min(longest) > 0.17 and max(longest) < 0.85 and np.ptp(longest) > 0.3


def test_the_seed_decides_and_a_folder_is_not_changed(folder, tmp_path):
    def content(place):
        return {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}

    before = content(folder)
    assert kv.data.shape_objects(folder, train=3) == folder and content(folder) == before
    few = content(kv.data.shape_objects(tmp_path / "again", train=3, val=2, size=64))
    other = content(kv.data.shape_objects(tmp_path / "other", train=3, val=2, size=64, seed=1))
    pictures = [path for path in few if path.suffix == ".png"]
    assert len(pictures) == 5
    assert all(few[path] == before[path] != other[path] for path in pictures), "images do not depend on the count"


def test_refusals(tmp_path):
    for options, name in ({"train": 0}, "train"), ({"size": 16}, "size"):
        with pytest.raises(UserError, match=f"`{name}`"):
            kv.data.shape_objects(tmp_path / "new", **options)
