import numpy as np
import pytest
from PIL import Image

from kvision import runs
from kvision.checks import UserError
from kvision.runs import labeled

OPTIONS = {"image_size": 16, "batch_size": 8}


def load(path=None, *, options=OPTIONS, **settings) -> runs.Split:
    return labeled.load(labeled.LabelSettings(data=path and str(path), **settings), **options)


def test_the_digits_are_split_by_the_seed_alone():
    one, same, other = (load(seed=seed) for seed in (0, 0, 1))
    assert len(one.train) + len(one.test) == 1797 and 0.18 < len(one.test) / 1797 < 0.22
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert not set(one.train.names) & set(one.test.names)


def test_so_many_of_each_class():
    data = load(train_per_class=5, test_per_class=3)
    assert np.bincount(data.train.labels).tolist() == [5] * 10 and np.bincount(data.test.labels).tolist() == [3] * 10
    assert "50 training, 30 test images of 10 classes" in data.name


def test_images_in_both_parts_of_a_file_leave_training(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (12, 8, 8, 3)).astype("uint8"), np.arange(12) % 2
    test = np.concatenate([x[:2], random.integers(0, 256, (4, 8, 8, 3)).astype("uint8")])
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=test, y_test=np.arange(6) % 2, class_names=["a", "b"])
    data = load(tmp_path / "x.npz")
    assert len(data.train) == 10 and len(data.test) == 6
    assert "2 train images equal a test image and are left out" in data.notes


def test_three_images_of_a_class_are_enough_and_two_are_told_so(tmp_path):
    random, folder = np.random.default_rng(0), tmp_path / "pets"
    for name in ("cat", "dog", "__MACOSX"):
        for i in range(3):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), "uint8")).save(folder / name / f"{i}.png")
    (folder / "bird").mkdir()
    data = load(folder)
    assert data.class_names == ("cat", "dog") and np.bincount(data.train.labels).tolist() == [2, 2]
    assert data.notes[0].startswith("the folder bird is not")
    (folder / "cat/2.png").unlink()
    with pytest.raises(UserError, match=r"at least 3 distinct images of each class. Received: 'cat: 2'.*Add images"):
        load(folder)


def test_too_few_images_of_a_class_to_train_on_are_told():
    for count in (0, 1):
        with pytest.raises(UserError, match=r"`train_per_class` leaves too few images.*at least 2"):
            labeled.LabelSettings(train_per_class=count).check()


def test_images_that_are_enlarged_are_told_with_the_faster_flag(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (12, 8, 8, 3)).astype("uint8"), np.arange(12) % 2
    np.savez(tmp_path / "x.npz", x_train=x[:8], y_train=y[:8], x_test=x[8:], y_test=y[8:], class_names=["a", "b"])

    def notes(**options):
        return load(tmp_path / "x.npz", options={**OPTIONS, **options}).notes

    assert notes(image_size=15) == notes(image_size=64, small=64) == ()
    (told,) = notes(image_size=224, small=64)
    assert told == "images of about 8 pixels are enlarged to 224: --small (64 pixels) or --image-size is faster"
    assert "a smaller --image-size" in notes(image_size=16)[0]


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match="`data`"):
        load(tmp_path / "none.npz")


def test_a_pattern_needs_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"`pattern` .*`data` to be a folder"):
        load(pattern="(.+)_")
