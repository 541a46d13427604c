import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def by_loops(labels, corners, ignore=None):
    height, width = labels.shape
    count = 0
    for y in range(height):
        for x in range(width):
            near = [
                labels[v, u]
                for v in range(max(0, y - 1), min(height, y + 2))
                for u in range(max(0, x - 1), min(width, x + 2))
                if (v, u) != (y, x) and (corners or v == y or u == x)
            ]
            count += bool(near) and labels[y, x] != ignore and all(other != labels[y, x] for other in near)
    return count


@pytest.mark.parametrize("shape", [(9, 12), (1, 8), (7, 1), (1, 1), (2, 2)])
def test_it_counts_as_loops_do(shape):
    random = np.random.default_rng(0)
    differ = False
    for _ in range(5):
        labels = random.choice([0, 1, 2, 255], shape)
        four, eight = (kv.metrics.isolated_pixels(labels, neighbors=n) for n in (4, 8))
        assert four == by_loops(labels, False) and eight == by_loops(labels, True)
        assert kv.metrics.isolated_pixels(labels, ignore=255) == by_loops(labels, False, 255)
        differ |= four != eight
    assert differ == (min(shape) > 1), "the control: corners count"


def test_wrong_calls_are_told():
    with pytest.raises(UserError, match="`labels`"):
        kv.metrics.isolated_pixels(np.zeros(4, int))
    with pytest.raises(UserError, match="`neighbors`"):
        kv.metrics.isolated_pixels(np.zeros((4, 4), int), neighbors=6)
