import math

import pytest

from kvision.augment import ranges
from kvision.checks import UserError


def test_what_is_right_comes_back():
    assert ranges.number("hue", 0, 0.0, 0.5) == 0.0 and ranges.number("hue", 0.5, 0.0, 0.5) == 0.5
    assert ranges.interval("area", [1, 1], 0.0, 1.0) == (1.0, 1.0)
    assert ranges.size("size", 32) == (32, 32) and ranges.size("size", [8, 16]) == (8, 16)


@pytest.mark.parametrize("value", [-0.1, 0.6, math.nan, "0.1", True, None])
def test_numbers(value):
    with pytest.raises(UserError, match=r"`hue` .*from 0 to 0.5"):
        ranges.number("hue", value, 0.0, 0.5)


@pytest.mark.parametrize("value", [(0.0, 1.0), (0.5, 0.2), (0.1,), (0.1, math.inf), "12", 0.5, (0.1, 2.0)])
def test_intervals(value):
    with pytest.raises(UserError, match=r"`area` .*two numbers .*above 0 to 1"):
        ranges.interval("area", value, 0.0, 1.0, open_low=True)


def test_the_end_that_is_not_there_is_not_named():
    with pytest.raises(UserError, match=r"Expected a number above 0\. Received"):
        ranges.number("sigma", 0, 0.0, math.inf, open_low=True)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, (1,), (1, 2, 3), (8, 0), "32", None])
def test_sizes(value):
    with pytest.raises(UserError, match=r"`size` .*pixels"):
        ranges.size("size", value)
