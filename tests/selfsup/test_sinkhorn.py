import math

import numpy as np
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.selfsup import sinkhorn

RANDOM = np.random.default_rng(0)


def oracle(scores, epsilon, iterations) -> np.ndarray:
    """The published code's loop in float64, prototypes by samples."""
    q = np.exp(scores.astype("float64") / epsilon).T
    k, b = q.shape
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(axis=1, keepdims=True) * k
        q /= q.sum(axis=0, keepdims=True) * b
    return (q * b).T


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_equals_the_published_loop(iterations):
    scores = RANDOM.uniform(-1, 1, (32, 8)).astype("float32")
    found = sinkhorn(scores, iterations=iterations)
    np.testing.assert_allclose(found, oracle(scores, 0.05, iterations), rtol=1e-4, atol=1e-9)


def test_rows_sum_to_one_and_columns_come_near_an_equal_share():
    random = np.random.default_rng(0)  # after 3 iterations other draws are .5 to 1.1 % off, in float64 too
    scores = random.normal(size=(512, 128)) @ random.normal(size=(128, 64)) / 128
    for iterations, off in ((3, 0.01), (10, 1e-6)):
        codes = np.array(sinkhorn(scores, iterations=iterations)).astype("float64")
        np.testing.assert_allclose(codes.sum(axis=1), 1, rtol=0, atol=1e-6)
        assert np.abs(codes.sum(axis=0) / (512 / 64) - 1).max() < off


def test_collapsed_scores_give_uniform_codes_and_a_shift_changes_nothing():
    same = np.repeat(RANDOM.uniform(-1, 1, (1, 16)), 40, axis=0).astype("float32")
    np.testing.assert_allclose(sinkhorn(same), 1 / 16, rtol=1e-6)
    scores = RANDOM.uniform(-1, 1, (20, 6)).astype("float32")
    np.testing.assert_allclose(sinkhorn(scores + 0.3), sinkhorn(scores), atol=1e-5)


def test_half_precision_is_finite_and_no_gradient_goes_through():
    scores = tf.Variable(RANDOM.uniform(-1, 1, (20, 6)).astype("float32"))
    assert math.exp(1 / 0.05) > float(np.finfo("float16").max)
    assert np.isfinite(sinkhorn(tf.ones((4, 3), "float16"))).all()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(sinkhorn(scores)[:, 0])
    assert tape.gradient(loss, scores) is None


def test_what_does_not_fit_is_said():
    for name, value in (("epsilon", 0.0), ("iterations", 0)):
        with pytest.raises(UserError, match=f"`{name}`"):
            sinkhorn(np.zeros((2, 2)), **{name: value})
