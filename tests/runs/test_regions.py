import pytest

from kvision.checks import UserError
from kvision.runs import regions


def test_the_default_data_is_rendered_once(tmp_path, monkeypatch):
    import kvision as kv

    real, calls = kv.data.rotated_scenes, []

    def few(folder):
        calls.append(folder)
        return real(folder, train=3, val=2)

    monkeypatch.setattr(kv.data, "rotated_scenes", few)
    config = regions.RegionSettings(weights="none", backbone="ResNet20")
    rotated = regions.load(config, rotated=True, cache=tmp_path)
    upright = regions.load(config, rotated=False, cache=tmp_path)
    assert rotated.train.rotated and not upright.train.rotated and calls[0] == calls[1]
    assert len(rotated.train) == 3 and len(rotated.test) == 2
    assert [one.labels.tolist() for one in rotated.train.objects] == [
        one.labels.tolist() for one in upright.train.objects
    ]


def test_a_proposer_of_the_other_kind_of_boxes_is_refused():
    for proposer, rotated in (("selective_search", True), ("rotated_segments", False)):
        config = regions.RegionSettings(weights="none", proposer=proposer)
        with pytest.raises(UserError, match="`proposer`"):
            regions.load(config, rotated=rotated)
