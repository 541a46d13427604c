import json
import os
import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import kvision as kv
from kvision.checks import UserError
from kvision.heads import ForestHead, KNNHead, LogisticHead

HEADS = [kv.heads.KNNHead(3, weights="distance"), kv.heads.ForestHead(7, max_depth=4), kv.heads.LogisticHead(0.1)]


@pytest.mark.parametrize("head", HEADS, ids=repr)
@pytest.mark.parametrize("names", [[3, 5, 7, 9], ["ä", "b", "c c", "d"]], ids=["integers", "strings"])
def test_round_trip(tmp_path, blobs, head, names):
    (features, labels), (queries, _) = blobs
    head.fit(features, np.array(names)[labels])
    kv.heads.save(head, tmp_path / "head.of.mine")
    loaded = kv.heads.load(tmp_path / "head.of.mine")
    assert loaded.get_params() == head.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(queries), head.predict_proba(queries))
    np.testing.assert_array_equal(loaded.predict(queries), head.predict(queries))
    with pytest.raises(ValueError, match="features"):
        loaded.predict(queries[:, :5])


class _Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_crafted_file_runs_nothing(tmp_path):
    trap, path = tmp_path / "trap", tmp_path / "head.npz"
    about = np.array(json.dumps({"head": "LogisticHead", "parameters": {}}))
    np.savez(path, about=about, kernel_=np.array([_Runs(trap)], object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as a head"):
        kv.heads.load(path)
    path.write_bytes(pickle.dumps(_Runs(trap)))
    with pytest.raises(UserError):
        kv.heads.load(path)
    assert not trap.exists()


def _changed(head, path, **arrays):
    """The head's file with other arrays; `about` is changed by its parameters."""
    kv.heads.save(head, path)
    with np.load(path) as file:
        good = dict(file)
    if (parameters := arrays.pop("parameters", None)) is not None:
        about = json.loads(str(good["about"]))
        arrays["about"] = np.array(json.dumps({**about, "parameters": {**about["parameters"], **parameters}}))
    np.savez(path, **{**good, **{name: make(good[name]) if callable(make) else make for name, make in arrays.items()}})


def _at(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


CRAFTED = [
    (ForestHead, {"left_": _at(0, 10**6)}, "left_ are not indices"),
    (ForestHead, {"right_": _at(0, -1)}, "right_ are not indices"),
    (ForestHead, {"roots_": _at(0, 10**6)}, "roots_ are not indices"),
    (ForestHead, {"feature_": _at(0, 24)}, "feature_ are not indices of 24"),
    (ForestHead, {"leaf_": _at(0, 10**6)}, "leaf_ are not indices"),
    (ForestHead, {"depth_": np.array(10**9)}, "depth_ is 1000000000"),
    (ForestHead, {"depth_": np.array("4")}, "not supported"),
    (ForestHead, {"values_": _at((0, 0), np.nan)}, "values_ is not"),
    (ForestHead, {"threshold_": lambda array: array.astype("float64")}, "threshold_ is not"),
    (KNNHead, {"parameters": {"n_neighbors": 0}}, "k"),
    (KNNHead, {"parameters": {"n_neighbors": 10**12}}, "k"),
    (KNNHead, {"parameters": {"n_neighbors": "3"}}, "not supported"),
    (KNNHead, {"parameters": {"weights": "pickle"}}, "weights"),
    (KNNHead, {"targets_": _at(0, 4)}, "targets_ are not indices of 4"),
    (KNNHead, {"targets_": lambda array: array[1:]}, "targets_ is not"),
    (KNNHead, {"bank_": _at((0, 0), np.inf)}, "bank_ is not"),
    (KNNHead, {"bank_": np.zeros((0, 24), "float32"), "targets_": np.zeros(0, "int32")}, "zero-size"),
    (LogisticHead, {"kernel_": lambda array: array[:, :3]}, "kernel_ is not"),
    (LogisticHead, {"bias_": _at(0, np.nan)}, "bias_ is not"),
    (LogisticHead, {"classes_": np.array(["b", "a", "c", "d"])}, "classes_ are not"),
    (LogisticHead, {"classes_": np.array(3)}, "classes_ are not"),
    (LogisticHead, {"n_features_in_": np.array("24")}, "n_features_in_ is '24'"),
    (LogisticHead, {"n_features_in_": np.array(10**12)}, "kernel_ is not"),
    (LogisticHead, {"about": np.array("[" * 9_000)}, "recursion"),
    (LogisticHead, {"about": np.array([1])}, "indices"),
    (LogisticHead, {"about": np.array('["head"]')}, "indices"),
    (LogisticHead, {"about": np.array('{"head": ["KNNHead"], "parameters": {}}')}, "unhashable"),
]


@pytest.mark.parametrize(("kind", "change", "message"), CRAFTED)
def test_what_fit_cannot_have_left_is_refused(tmp_path, blobs, kind, change, message):
    (features, labels), _ = blobs
    head = kind(7, max_depth=4) if kind is ForestHead else kind()
    path = tmp_path / "head.npz"
    _changed(head.fit(features, labels), path)
    kv.heads.load(path)
    _changed(head, path, **change)
    with pytest.raises(UserError, match=f"cannot be read as a head: .*{message}") as error:
        kv.heads.load(path)
    assert "\n" not in str(error.value)


def test_damaged_and_foreign_files(tmp_path, blobs):
    (features, labels), _ = blobs
    path = tmp_path / "head.npz"
    kv.heads.save(kv.heads.LogisticHead().fit(features, labels), path)
    content = path.read_bytes()
    with np.load(path) as file:
        good = dict(file)
    for cut in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(UserError):
            kv.heads.load(path)

    def changed(**arrays):
        np.savez(path, **{k: v for k, v in {**good, **arrays}.items() if v is not None})
        with pytest.raises(UserError, match="cannot be read as a head"):
            kv.heads.load(path)

    changed(bias_=None)
    changed(bias_=np.zeros(9, "float32"))
    changed(about=np.array("{"))
    changed(about=np.array(json.dumps({"head": "Pipeline", "parameters": {}})))
    changed(about=np.array(json.dumps({"head": "LogisticHead", "parameters": {"penalty": "l1"}})))
    changed(predict=np.zeros(1))
    changed(__class__=np.zeros(1))
    with pytest.raises(UserError):
        kv.heads.load(tmp_path / "absent.npz")
    with pytest.raises(UserError, match="LogisticRegression"):
        kv.heads.save(LogisticRegression(), path)


def test_names_that_are_python_objects_are_saved_as_text(tmp_path, blobs):
    (x, y), _ = blobs
    names = np.array(["eins", "zwei", "drei"], dtype=object)
    head = LogisticHead().fit(x, names[y % 3])
    assert head.classes_.dtype == object
    kv.heads.save(head, tmp_path / "head.npz")
    loaded = kv.heads.load(tmp_path / "head.npz")
    assert loaded.classes_.dtype.kind == "U"
    np.testing.assert_array_equal(loaded.predict(x), head.predict(x))


def test_a_file_from_before_a_parameter_was_renamed(tmp_path, blobs):
    (x, y), _ = blobs
    head = KNNHead(3, weights="distance").fit(x, y)
    kv.heads.save(head, tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz") as file:
        arrays = dict(file)
    about = str(arrays.pop("about")).replace("n_neighbors", "k")
    assert '"k": 3' in about
    np.savez(tmp_path / "old.npz", about=np.array(about), **arrays)
    assert kv.heads.load(tmp_path / "old.npz").get_params() == head.get_params()


def test_a_file_from_before_there_was_a_center(tmp_path, blobs):
    (x, y), _ = blobs
    head = LogisticHead().fit(x, y)
    kv.heads.save(head, tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz") as file:
        np.savez(tmp_path / "old.npz", **{name: file[name] for name in file.files if name != "center_"})
    np.testing.assert_array_equal(kv.heads.load(tmp_path / "old.npz").predict_proba(x), head.predict_proba(x))
