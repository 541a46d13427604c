import math

import pytest

from kvision.checks import UserError
from kvision.metrics import accuracy_interval


@pytest.mark.parametrize(("correct", "count"), [(0, 10), (7, 10), (10, 10), (749, 1000)])
def test_wilson_by_hand(correct, count):
    z, p = 1.959963984540054, correct / count
    center = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    assert accuracy_interval(correct, count) == pytest.approx((center - half, center + half), abs=1e-12)


def test_nothing_measured():
    with pytest.raises(UserError, match=r"`count`.*at least 1 answer"):
        accuracy_interval(0, 0)
    with pytest.raises(UserError, match=r"`correct`.*0 to 3.*Received: 4"):
        accuracy_interval(4, 3)
