"""Files named by a pattern or a CSV file; class folders are tested in tests/data/test_scan.py."""

import shutil

import pytest

from kvision.checks import UserError
from kvision.data import scan


@pytest.fixture
def flat(tmp_path, paint):
    """A folder without class folders."""
    for number, name in enumerate(("cat_1.png", "cat_2.png", "dog_1.png", "deep/dog_22.png", "other.png")):
        paint(tmp_path / "flat" / name, number)
    return tmp_path / "flat"


def test_a_pattern_finds_the_class_in_the_name(flat):
    for pattern in ("(.+)_[0-9]+", "(?P<number>x)?(?P<label>[a-z]+)_"):
        found = scan(flat, pattern=pattern, progress=False)
        assert found.class_names == ("cat", "dog") and found.part is None
        assert dict(zip(found.paths, found.labels.tolist(), strict=True)) == {
            "cat_1.png": 0,
            "cat_2.png": 0,
            "dog_1.png": 1,
            "deep/dog_22.png": 1,
        }
        (bad,) = found.bad
        assert bad.path == "other.png" and "no class is found in its name" in bad.reason
    with pytest.raises(UserError, match="`pattern` cannot be read"):
        scan(flat, pattern="(", progress=False)
    with pytest.raises(UserError, match="fewer than two classes"):
        scan(flat, pattern="(cat)", progress=False)


def test_a_csv_file_names_images_classes_and_parts(flat):
    rows = ["file,label,part", "cat_1.png,A,train", "deep/dog_22.png,B,train", "cat_2.png,A,val", "dog_1.png,B,val"]
    (flat / "labels.csv").write_text("\n".join([*rows, "absent.png,A,train", "../out.png,B,train", "cat_1.png,B,val"]))
    shutil.copy(flat / "cat_1.png", flat.parent / "out.png")
    found = scan(flat / "labels.csv", progress=False)
    assert found.folder == flat and found.class_names == ("A", "B")
    assert dict(zip(found.paths, found.part.tolist(), strict=True)) == {
        "cat_2.png": "test",
        "deep/dog_22.png": "train",
        "dog_1.png": "test",
    }
    reasons = {bad.path: bad.reason for bad in found.bad}
    assert reasons == {
        "absent.png": "No such file or directory",
        "../out.png": "it is not in the folder",
        "cat_1.png": "it is listed twice",
    }


def test_a_csv_file_without_parts(flat):
    (flat / "labels.csv").write_text("path,class\ncat_1.png,cat\ndog_1.png,dog\n")
    found = scan(flat / "labels.csv", progress=False)
    assert found.part is None and found.labels.tolist() == [0, 1]
    (flat / "labels.csv").write_text("path,class,part\ncat_1.png,cat,train\ndog_1.png,dog,train\n")
    with pytest.raises(UserError, match=r"has parts that cannot be used.*\['train'\]"):
        scan(flat / "labels.csv", progress=False)


def test_paths_may_be_absolute_or_lead_through_other_folders(flat, monkeypatch):
    rows = ["file,class", f"{flat}/dog_1.png,dog", "./cat_1.png,cat", "deep/../cat_2.png,cat"]
    (flat / "labels.csv").write_text("\n".join(rows))
    for place in (flat, flat.parent):
        monkeypatch.chdir(place)
        found = scan((flat / "labels.csv").relative_to(place), progress=False)
        assert dict(zip(found.paths, found.labels.tolist(), strict=True)) == {
            "cat_1.png": 0,
            "cat_2.png": 0,
            "dog_1.png": 1,
        }
    with pytest.raises(UserError, match="`pattern` is for folders"):
        scan(flat / "labels.csv", pattern="(.+)_", progress=False)


def test_each_part_of_a_csv_file_has_each_class(flat):
    rows = ["path,class,part", "cat_1.png,cat,train", "dog_1.png,dog,train", "cat_2.png,cat,test"]
    (flat / "labels.csv").write_text("\n".join(rows))
    with pytest.raises(UserError, match=r"lack images in one of the parts test, train.*\['dog'\]"):
        scan(flat / "labels.csv", progress=False)
