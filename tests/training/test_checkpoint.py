import resource

import numpy as np
import pytest

from kvision.checks import UserError
from kvision.training.checkpoint import Checkpoints
from kvision.training.source import Position

RANDOM = np.random.default_rng(0)
ARRAYS = {"a": RANDOM.normal(size=(40, 3)).astype("float32"), "b": np.array(7), "c": np.zeros((0, 2), "int32")}


def written(folder, count=2, keep=2) -> Checkpoints:
    kept = Checkpoints(folder, keep=keep)
    for epoch in range(count):
        kept.write(Position(0, epoch, 1), {**ARRAYS, "epoch": np.array(epoch)}, {"history": {"loss": [float(epoch)]}})
    return kept


def equal(found, epoch: int) -> bool:
    position, arrays, record = found
    same = all(
        np.array_equal(arrays[name], ARRAYS[name]) and arrays[name].dtype == ARRAYS[name].dtype for name in ARRAYS
    )
    return (
        same and position == Position(0, epoch, 1) and arrays["epoch"] == epoch and record["history"]["loss"] == [epoch]
    )


def test_the_last_few_are_kept_and_nothing_else(tmp_path):
    kept = written(tmp_path / "new", 5, keep=3)
    assert [path.name for path in kept.files()] == [f"000-00000{n}-00000001.npz" for n in (2, 3, 4)]
    assert sorted((tmp_path / "new").iterdir()) == kept.files()
    assert equal(kept.latest(), 4)
    kept.clear()
    assert kept.files() == [] and kept.latest() is None
    assert Checkpoints(tmp_path / "absent").latest() is None
    with pytest.raises(UserError, match=r"`keep` .*at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_any_json_comes_back(tmp_path):
    kept, record = Checkpoints(tmp_path), {"history": {"é": [float("inf"), 0.1]}, "stopped": False, "callbacks": [None]}
    kept.write(Position(2, 3, 4), {}, record)
    assert kept.latest() == (Position(2, 3, 4), {}, record)
    assert kept.path(Position(2, 3, 4)) == kept.files()[0]


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_damaged_file_is_named_and_the_one_before_is_used(tmp_path, capsys, how):
    kept, random = written(tmp_path), np.random.default_rng(0)
    newest = kept.files()[-1]
    whole = newest.read_bytes()
    passed_over = 0
    for offset in random.choice(len(whole) - 1, 200, replace=False):
        changed = bytes([whole[offset] ^ random.integers(1, 256)])
        newest.write_bytes(whole[:offset] if how == "truncated" else whole[:offset] + changed + whole[offset + 1 :])
        found, told = kept.latest(), capsys.readouterr().err
        if told:
            passed_over += 1
            assert f"{newest} is damaged" in told and "the one before is used" in told and equal(found, 0)
        else:  # a byte that says nothing, as a date does
            assert how == "flipped" and equal(found, 1)
    assert passed_over > (199 if how == "truncated" else 150)


def test_when_all_are_damaged_there_is_none(tmp_path, capsys):
    kept = written(tmp_path)
    for path in kept.files():
        path.write_bytes(b"")
    assert kept.latest() is None
    first, second = capsys.readouterr().err.splitlines()
    assert "the one before" in first and "again" in second


def test_what_was_passed_over_does_not_push_out_what_is_written_after_it(tmp_path):
    for keep in (1, 2):
        kept = written(tmp_path / str(keep), 3, keep=keep)
        kept.files()[-1].write_bytes(b"torn")
        for step in (2, 3):
            kept.write(Position(0, 1, step), ARRAYS, {})
        assert [path.name for path in kept.files()] == [f"000-000001-0000000{n}.npz" for n in (2, 3)][-keep:]
        assert kept.latest()[0] == Position(0, 1, 3)


def test_what_a_killed_write_left_goes(tmp_path):
    kept = written(tmp_path, 1)
    (tmp_path / ".partial-99999-000-000000-00000001.npz").write_bytes(bytes(1000))
    (tmp_path / ".partial-99999-else.txt").touch()
    kept.write(Position(0, 1, 1), ARRAYS, {})
    assert [path.name for path in tmp_path.glob(".*")] == [".partial-99999-else.txt"]


@pytest.fixture
def little_room():
    """No file grows over 50 kB, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_ones_and_says_so(tmp_path, little_room):
    kept = written(tmp_path)
    expected = r"`folder` could not be written: File too large. Expected room .*continues from 000-000001-00000001.npz"
    with pytest.raises(UserError, match=expected):
        kept.write(Position(0, 2, 0), {"a": np.zeros(100_000)}, {})
    assert sorted(tmp_path.iterdir()) == kept.files() and equal(kept.latest(), 1)


def test_a_folder_that_cannot_be_is_an_error_of_the_user(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"could not be written: .*continues from its beginning"):
        Checkpoints(tmp_path / "file").write(Position(), ARRAYS, {})
