import numpy as np
import pytest

from kvision.checks import UserError
from kvision.data import digits, load_npz


def _good() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
        "y_train": np.array([[0], [1], [2], [0], [1], [2]]),  # as CIFAR's: a column
        "x_test": random.integers(0, 256, (2, 5, 4, 3), dtype=np.uint8),
        "y_test": np.array([2, 0], "uint8"),
        "class_names": np.array(["a", "b", "ü"]),
    }


def test_reads_what_was_written(tmp_path):
    np.savez(tmp_path / "set.npz", **_good())
    found = load_npz(tmp_path / "set.npz")
    np.testing.assert_array_equal(found.x_train, _good()["x_train"])
    np.testing.assert_array_equal(found.x_test, _good()["x_test"])
    assert found.y_train.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.y_train.dtype == found.y_test.dtype == np.int32
    assert found.class_names == ("a", "b", "ü")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None, "class_names": None}, "lacks y_test, class_names"),
        ({"x_train": np.zeros((6, 5, 4, 3), "float32")}, "unusable x_train.*uint8.*float32"),
        ({"x_test": np.zeros((2, 5, 4, 1), "uint8")}, r"unusable x_test.*\(2, 5, 4, 1\)"),
        ({"x_test": np.zeros((0, 5, 4, 3), "uint8")}, "unusable x_test"),
        ({"y_train": np.arange(5)}, "unusable y_train.*6 integers"),
        ({"y_train": np.zeros(6)}, "unusable y_train.*float64"),
        ({"y_test": np.array([0, 3])}, "beyond class_names in y_test.*0 to 2"),
        ({"y_test": np.array([0, -1])}, "beyond class_names in y_test"),
        ({"class_names": np.array(["a", object()], object)}, "Python objects"),
        ({"class_names": np.array(["a", "b", "a"])}, r"two classes of one name.*\['a'\].*set.npz"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, message):
    arrays = {name: value for name, value in {**_good(), **change}.items() if value is not None}
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(UserError, match=message):
        load_npz(tmp_path / "set.npz")


def test_files_of_another_kind(tmp_path):
    np.savez(tmp_path / "set.npz", **_good())
    data = (tmp_path / "set.npz").read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "torn.npz").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.npz").write_text("hello")
    for name in ("one.npy", "torn.npz", "text.npz", "nowhere.npz"):
        with pytest.raises(UserError, match=f"'{name}' cannot be read"):
            load_npz(tmp_path / name)


def test_cifar(shared):
    found = load_npz(shared / "data/cifar10_subset.npz")
    assert found.x_train.shape == (10_000, 32, 32, 3)
    assert np.bincount(found.y_test).tolist() == [200] * 10
    assert len(found.class_names) == 10


def test_digits():
    images, labels, names = digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert sorted({*images.ravel().tolist()}) == [round(level * 255 / 16) for level in range(17)]
    assert labels.dtype == np.int32
    assert names == tuple("0123456789")
    assert np.bincount(labels).min() > 170
