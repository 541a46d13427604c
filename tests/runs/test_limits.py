import pytest

from kvision.checks import UserError
from kvision.runs import limits


@pytest.mark.parametrize(
    ("check", "good", "bad", "text"),
    [
        (limits.among(("a", "beta")), "a", "bta", "Did you mean 'beta'"),
        (limits.among(("a", "beta")), ("a", "beta"), ("a", "c"), "is not known"),
        (limits.among(("a", "beta")), ("a",), (), "is not known"),
        (limits.between(1, 2), 2, 3, "a number from 1 to 2"),
        (limits.two_per_class, 2, 1, "leaves too few images"),
        (limits.positive, 0.1, float("inf"), "a positive number"),
        (limits.folder, "/", "/dev/null", "names no folder"),
        (limits.data, "/", "/dev/null", "names no folder"),
        (limits.data, "/", "/nowhere.npz", "there is no such file"),
        (limits.weights, "none", "/nowhere.keras", "names no file"),
    ],
)
def test_a_value_that_is_not_valid_names_the_setting(check, good, bad, text):
    check("x", good)
    with pytest.raises(UserError, match="`x` .*" + text):
        check("x", bad)
