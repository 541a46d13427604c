import pytest

import kvision as kv
from kvision.pixels.packages import require_package


def test_a_package_that_is_missing_is_named_with_its_extra():
    require_package("numpy", extra="video", argument="path")
    with pytest.raises(kv.UserError, match=r"\[video\]") as caught:
        require_package("no_such_package", extra="video", argument="path")
    assert caught.value.argument == "path"
