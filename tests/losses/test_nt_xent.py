import math

import numpy as np
import pytest
import tensorflow as tf

from kvision import losses
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(2, 6, 5)).astype("float32")


def oracle(a, b, temperature) -> list[float]:
    """Equation 1, one pair after the other, in float64."""
    z = [row / np.linalg.norm(row) for row in np.concatenate([a, b]).astype("float64")]
    n, found = len(a), []
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        sims = {k: math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i}
        found.append(-math.log(sims[j] / sum(sims.values())))
    return found


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_equals_the_equation(temperature):
    np.testing.assert_allclose(losses.nt_xent(A, B, temperature=temperature), oracle(A, B, temperature), rtol=1e-4)


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_twice_the_mean_is_keras_cvs_value(shared, name, temperature):
    with np.load(shared / "reference" / "addons_parity.npz") as found:
        a, b = found[f"{name}_view1"], found[f"{name}_view2"]
        expected = float(found[f"{name}_simclr_t{temperature}"])
    mean = float(np.mean(losses.nt_xent(a, b, temperature=temperature)))
    assert 2 * mean == pytest.approx(expected, rel=1e-5)


def test_trivial_perfect_and_degenerate_values():
    eye = np.eye(8, dtype="float32")
    np.testing.assert_allclose(losses.nt_xent(eye[:4], eye[4:]), math.log(7), rtol=1e-6)
    np.testing.assert_allclose(losses.nt_xent(np.ones((4, 3)), np.ones((4, 3))), math.log(7), rtol=1e-5)
    same = losses.nt_xent(eye[:4], eye[:4], temperature=0.5)
    np.testing.assert_allclose(same, math.log(1 + 6 * math.exp(-2)), rtol=1e-6)
    np.testing.assert_allclose(losses.nt_xent(A[:1], B[:1]), 0, atol=1e-6)


def test_length_and_order_of_views_do_not_count_and_half_precision_is_finite():
    expected = np.array(losses.nt_xent(A, B))
    np.testing.assert_allclose(losses.nt_xent(3 * A, 0.1 * B), expected, rtol=1e-5)
    np.testing.assert_allclose(np.roll(losses.nt_xent(B, A), 6), expected, rtol=1e-5)
    half = np.array(losses.nt_xent(tf.constant(A, "float16"), tf.constant(A, "float16"), temperature=0.01))
    assert half.dtype == "float32" and np.isfinite(half).all()


def test_no_gradient_along_itself():
    a = tf.Variable(A)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses.nt_xent(a, B))
    gradient = np.array(tape.gradient(loss, a))
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose((gradient * A).sum(axis=1), 0, atol=1e-6)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="`temperature` is not valid"):
        losses.nt_xent(A, B, temperature=0)
    with pytest.raises(UserError, match=r"`b` is not valid. Expected the shape of `a`, \(N, D\): \(6, 5\)"):
        losses.nt_xent(A, B[:3])
