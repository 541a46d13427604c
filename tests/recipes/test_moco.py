import pretraining
import pytest

from kvision.checks import UserError
from kvision.recipes import moco


def test_versions_are_presets_and_another_is_refused(monkeypatch):
    names = [pretraining.asked(monkeypatch, moco, moco.Config(version=version)) for version in (1, 2)]
    assert names == ["moco", "moco_v2"]
    with pytest.raises(UserError, match="`version` is not valid"):
        moco.load(moco.Config(version=3))
