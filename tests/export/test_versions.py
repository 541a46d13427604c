import pytest

from kvision.checks import UserError
from kvision.export import versions


def make(folder) -> None:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()


def test_a_saved_model_is_itself(tmp_path):
    make(tmp_path / "3")
    assert versions.newest(tmp_path / "3") == tmp_path / "3"


def test_the_newest_is_the_highest_number_that_holds_a_model(tmp_path):
    for name in ("2", "10", "runs", "11.partial"):
        make(tmp_path / name)
    (tmp_path / "12").mkdir()
    (tmp_path / "13").touch()
    assert versions.newest(tmp_path) == tmp_path / "10"
    assert sorted(versions.numbers(tmp_path)) == [2, 10, 12], "an empty folder's number is taken too"


def test_no_model(tmp_path):
    assert versions.newest(tmp_path) is None and versions.newest(tmp_path / "absent") is None
    assert versions.numbers(tmp_path / "absent") == []


def test_one_that_is_required_is_found_or_named(tmp_path):
    make(tmp_path / "3")
    assert versions.require(tmp_path) == tmp_path / "3"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"`path` holds no model\. Expected a file, a SavedModel folder"):
        versions.require(tmp_path / "empty", or_a="a file, ")
    with pytest.raises(UserError, match=r"`path` does not exist\. Expected a SavedModel folder"):
        versions.require(tmp_path / "absent")
    with pytest.raises(UserError, match="`MODEL` does not exist"):
        versions.require(tmp_path / "absent", argument="MODEL")
