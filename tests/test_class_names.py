import pytest

from kvision import class_names
from kvision.checks import UserError


def test_names_in_any_writing_are_kept():
    names = ["cat", "Cat", "cat ", "猫", "a$b$", "[x]", "_x", "ü"]
    assert class_names.check("data", names) == tuple(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], r"`data` has two classes of one name.*\['a'\].*Rename"),
        (["caf\u00e9", "x", "cafe\u0301"], "two classes of one name"),
        (["a", "b\nc"], r"cannot be written.*b\\nc"),
        (["a", "b\u2028c"], "cannot be written"),
        (["a", " "], "cannot be written"),
        (["a", "caf\udce9"], r"cannot be written.*caf\\udce9"),
    ],
)
def test_names_that_files_cannot_tell_apart_are_refused(names, message):
    with pytest.raises(UserError, match=message):
        class_names.check("data", names, hint="Rename it")
