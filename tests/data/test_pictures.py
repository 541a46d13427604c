import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.checks import UserError


def picture(seed: int, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype("uint8")


def save(image: np.ndarray, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def test_any_layout_and_no_gray_pictures(tmp_path):
    save(picture(0), tmp_path / "a/b/c.png")
    save(picture(1, (9, 7)), tmp_path / "d.JPG")
    save(picture(2)[..., 0], tmp_path / "masks/a.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / ".hidden").mkdir()
    save(picture(3), tmp_path / ".hidden/e.png")
    found = kv.data.from_pictures(tmp_path, progress=False)
    assert found.names == ("a/b/c.png", "d.JPG") and found.part is None and found.sizes == ((20, 30), (9, 7))
    assert [bad.path for bad in found.bad] == ["broken.png"] and "masks/a.png" in found.notes[0]
    np.testing.assert_array_equal(found.original(0), picture(0))
    (tmp_path / "a/b/c.png").write_bytes(b"other")
    with pytest.raises(UserError, match="has changed"):
        found.original(0)


def test_parts_are_kept_apart(tmp_path):
    for number, part in enumerate(("train", "val", "test")):
        save(picture(number), tmp_path / part / "deep/x.png")
    save(picture(9), tmp_path / "other/y.png")
    found = kv.data.from_pictures(tmp_path, progress=False)
    assert dict(zip(found.names, found.part.tolist(), strict=True)) == {
        "test/deep/x.png": "test",
        "train/deep/x.png": "train",
        "val/deep/x.png": "validation",
    }


def test_subsets_and_sizes(tmp_path):
    for number in range(6):
        save(picture(number, (60, 80)), tmp_path / f"{number}.png")
    found = kv.data.from_pictures(tmp_path, longest_side=40, progress=False)
    assert found.example(2)[0].shape == (30, 40, 3) and found.original(2).shape == (60, 80, 3)
    some = found.some(3)
    assert len(some) == 3 and some.fingerprint != found.fingerprint
    assert found.subset([4, 1]).names == ("4.png", "1.png")
    np.testing.assert_array_equal(found.subset([4, 1]).original(0), picture(4, (60, 80)))
    assert kv.data.from_pictures(tmp_path, progress=False).fingerprint != found.fingerprint


def test_arrays():
    images = np.stack([picture(0), np.repeat(picture(1)[..., :1], 3, 2), picture(2)])
    found = kv.data.pictures_of(images)
    assert found.names == ("0", "2") and found.path(0) is None and len(set(found.pixel_hashes)) == 2
    np.testing.assert_array_equal(found.subset([1]).original(0), images[2])


def test_wrong_data_is_told(tmp_path):
    save(picture(0)[..., 0], tmp_path / "gray.png")
    for call, text in [
        (lambda: kv.data.from_pictures(tmp_path, progress=False), "`folder` has no picture in color"),
        (lambda: kv.data.from_pictures(tmp_path / "x", progress=False), "`folder` names no folder"),
        (lambda: kv.data.from_pictures(tmp_path, longest_side=0), "`longest_side`"),
        (lambda: kv.data.pictures_of(np.zeros((2, 4, 4, 3), "uint8")), "`images` have no color"),
        (lambda: kv.data.pictures_of(np.zeros((2, 4, 4))), "`images`"),
    ]:
        with pytest.raises(UserError, match=text):
            call()
