import numpy as np
import pytest
from scipy import stats

from kvision.checks import UserError
from kvision.metrics import mean_interval


def test_equals_scipys_and_covers_the_truth():
    random = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        values = random.normal(3, 2, 4)
        mean, low, high = mean_interval(values, confidence=0.9)
        covered.append(low <= 3 <= high)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(stats.t.interval(0.9, 3, values.mean(), stats.sem(values)))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.03)


def test_too_few_values():
    for values in ([1.0], [[1.0, 2.0]]):
        with pytest.raises(UserError, match=r"`values`.*at least 2"):
            mean_interval(np.array(values))
