import boxed as small
import numpy as np
import pytest

import kvision as kv
from kvision import runs
from kvision.runs import proposers, regions


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = small.shapes(tmp_path_factory.mktemp("shapes") / "voc", train=3, test=2)
    return runs.boxed.load(runs.boxed.BoxSettings(data=str(folder)), folder, "shapes")


def test_a_grid_gives_in_the_model_what_it_gives_outside(split):
    config = regions.RegionSettings(proposer="grid", proposals=40)
    found = proposers.proposer_of(split, config, runs.Records(), None, "")
    boxes = found.boxes(split.test)
    assert found.exact and len(boxes) == 2 and 0 < len(boxes[0]) <= 40
    layer = np.asarray(found.layer(split.test.example(0)[0][None].astype("float32")))[0]
    np.testing.assert_allclose(boxes[0], layer, atol=1e-4)


def test_slow_proposals_are_computed_once(split, tmp_path, monkeypatch):
    calls = []

    def search(image, *, count):
        calls.append(count)
        return np.array([[0, 0, 10 + len(calls), 10]], "float32")

    monkeypatch.setattr(kv.detection, "selective_search", search)
    config = regions.RegionSettings(proposer="selective_search", proposals=7)
    records = runs.Records(tmp_path)
    found = proposers.proposer_of(split, config, records, None, "")
    first = found.boxes(split.test)
    again = proposers.proposer_of(split, config, records, None, "").boxes(split.test)
    assert calls == [7, 7] and not found.exact
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)
    assert len(found.boxes(split.train)) == 3 and len(calls) == 5, "other images are searched"


def test_recall_rises_with_the_number_and_is_recorded(split, tmp_path, monkeypatch):
    monkeypatch.setattr(proposers, "OTHERS", ("grid",))
    config = regions.RegionSettings(proposer="grid")
    recalls = proposers.recalls_of(split, config, runs.Records(tmp_path), None, "")
    values = list(recalls["grid"].values())
    assert list(recalls) == ["grid"] and values == sorted(values) and values[-1] > 0.9
    monkeypatch.setattr(kv.detection, "recall", None)
    assert proposers.recalls_of(split, config, runs.Records(tmp_path), None, "") == recalls
