import pytest

from kvision.checks import UserError
from kvision.tasks import names


def test_names_of_a_file_are_made_distinct():
    assert names.distinct(["cat", "dog", "cat"], 3) == ["cat (0)", "dog", "cat (2)"]
    assert names.distinct(None, 2) == ["0", "1"]
    with pytest.raises(UserError, match="another number of class names"):
        names.distinct(["cat"], 2)


def test_names_before_an_export():
    names.check(None, 3)
    names.check(["a", "b"], 2)
    for wrong in (["a"], ["a", "a"]):
        with pytest.raises(UserError, match="`labels`"):
            names.check(wrong, 2)
