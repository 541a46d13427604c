import numpy as np
import pytest

from kvision.checks import UserError
from kvision.selfsup.countdown import Countdown

X = np.zeros(1, "float32")


def test_true_for_so_many_training_calls():
    countdown = Countdown(2)
    assert bool(countdown(X)) and int(countdown.left) == 2, "evaluation does not count"
    assert [bool(countdown(X, training=True)) for _ in range(4)] == [True, True, False, False]
    assert not bool(Countdown(0)(X, training=True))


def test_a_negative_count_is_refused():
    with pytest.raises(UserError, match="`steps`"):
        Countdown(-1)
