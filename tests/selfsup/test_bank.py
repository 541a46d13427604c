import numpy as np
import pytest

from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.ops import unit
from kvision.selfsup import MemoryBank

FEATURES = np.array(unit(np.random.default_rng(0).normal(size=(3, 4))))
INDEX = np.array([5, 0, 2], "int32")


def test_only_the_rows_of_the_batch_move_halfway_and_stay_units():
    bank = MemoryBank(7, 4)
    before = read(bank.rows)
    np.testing.assert_allclose(np.linalg.norm(before, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(bank(FEATURES, INDEX, training=True), before)
    after = read(bank.rows)
    others = [1, 3, 4, 6]
    np.testing.assert_array_equal(after[others], before[others])
    mean = 0.5 * before[INDEX] + 0.5 * FEATURES
    np.testing.assert_allclose(after[INDEX], mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6)


def test_momentum_zero_keeps_the_last_feature_and_evaluation_keeps_the_bank():
    bank = MemoryBank(7, 4, momentum=0.0)
    before = read(bank.rows)
    bank(FEATURES, INDEX)
    np.testing.assert_array_equal(read(bank.rows), before)
    bank(FEATURES, INDEX, training=True)
    np.testing.assert_allclose(read(bank.rows)[INDEX], FEATURES, atol=1e-6)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="`momentum`"):
        MemoryBank(4, 2, momentum=1.0)
    with pytest.raises(UserError, match="`count`"):
        MemoryBank(0, 2)
