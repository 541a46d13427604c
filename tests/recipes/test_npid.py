import pretraining

import kvision as kv
from kvision.recipes import npid


def test_plus_plus_is_the_other_preset(monkeypatch):
    names = [pretraining.asked(monkeypatch, npid, npid.Config(plus_plus=plus_plus)) for plus_plus in (False, True)]
    assert names == ["npid", "npid_plus_plus"]
    one, other = (kv.selfsup.preset(name) for name in names)
    assert other.epochs == 2 * one.epochs
