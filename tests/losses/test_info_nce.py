import math

import numpy as np
import pytest
import tensorflow as tf

from kvision import losses, ops
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)


def test_equals_the_equation():
    query, key, queue = (np.array(ops.unit(RANDOM.normal(size=(n, 6)))) for n in (4, 4, 9))
    found = losses.info_nce((query * key).sum(axis=1), query @ queue.T, temperature=0.2)
    for i in range(4):
        e = [math.exp(query[i] @ key[i] / 0.2), *(math.exp(query[i] @ row / 0.2) for row in queue)]
        assert float(found[i]) == pytest.approx(-math.log(e[0] / sum(e)), rel=1e-5)


def test_orthogonal_keys_give_the_trivial_value():
    np.testing.assert_allclose(losses.info_nce(np.zeros(3), np.zeros((3, 15))), math.log(16), rtol=1e-6)


def test_random_directions_give_more_than_that_by_the_variance_of_their_cosines():
    query, key, queue = (np.array(ops.unit(RANDOM.normal(size=(n, 128)))) for n in (512, 512, 4096))
    found = np.mean(losses.info_nce((query * key).sum(axis=1), query @ queue.T, temperature=0.07))
    assert found == pytest.approx(math.log(4097) + 1 / (2 * 128 * 0.07**2), abs=0.06)


def test_half_precision_is_finite_and_a_bad_temperature_is_said():
    one, other = tf.constant([-1.0], "float16"), tf.ones((1, 3), "float16")
    found = float(losses.info_nce(one, other, temperature=0.01)[0])
    assert found == pytest.approx(200 + math.log(3), rel=1e-4)
    with pytest.raises(UserError, match="`temperature`"):
        losses.info_nce(one, other, temperature=-1)
