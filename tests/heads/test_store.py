import json
import os
import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import kvision as kv
from kvision.checks import UserError

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
