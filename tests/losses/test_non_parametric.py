import math

import numpy as np
import pytest

from kvision import losses, ops
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
FEATURES, BANK = (np.array(ops.unit(RANDOM.normal(size=(n, 6))), "float64") for n in (4, 20))
INDEX = np.array([3, 0, 19, 7])
POSITIVE, SIMILARITY = (FEATURES * BANK[INDEX]).sum(axis=1), FEATURES @ BANK.T


def test_softmax_over_all_images():
    found = losses.non_parametric_softmax(POSITIVE, SIMILARITY, temperature=0.1)
    for i in range(4):
        e = np.exp(SIMILARITY[i] / 0.1)
        assert float(found[i]) == pytest.approx(-math.log(e[INDEX[i]] / e.sum()), rel=1e-5)


def test_an_orthonormal_bank_and_a_perfect_feature():
    eye = np.eye(20)
    found = losses.non_parametric_softmax(np.ones(20), eye, temperature=0.07)
    np.testing.assert_allclose(found, math.log1p(19 * math.exp(-1 / 0.07)), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(losses.non_parametric_softmax(np.zeros(2), np.zeros((2, 20))), math.log(20), rtol=1e-6)


def test_noise_contrastive_estimation():
    drawn = RANDOM.integers(0, 20, (4, 7))
    noise = np.einsum("bd,bmd->bm", FEATURES, BANK[drawn])
    z = 20 * np.mean(np.exp(noise / 0.1))
    found = losses.noise_contrastive(POSITIVE, noise, log_partition=math.log(z), count=20, temperature=0.1)
    for i in range(4):
        p, q = math.exp(POSITIVE[i] / 0.1) / z, np.exp(noise[i] / 0.1) / z
        h, others = p / (p + 7 / 20), q / (q + 7 / 20)
        assert float(found[i]) == pytest.approx(-math.log(h) - np.log(1 - others).sum(), rel=1e-5)


def test_its_trivial_value():
    found = losses.noise_contrastive(np.zeros(2), np.zeros((2, 4096)), log_partition=math.log(50_000), count=50_000)
    np.testing.assert_allclose(found, math.log(4097) + 4096 * math.log1p(1 / 4096), rtol=1e-5)
    assert float(found[0]) == pytest.approx(9.318, abs=1e-3)


def test_probabilities_below_half_precision_stay():
    found = losses.noise_contrastive(
        np.full(1, 1.0, "float16"), np.full((1, 8), -1.0, "float16"), log_partition=14.0, count=10**6
    )
    own, other = (math.exp(cosine / 0.07 - 14) / 8e-6 for cosine in (1, -1))  # P / (m / N)
    assert float(found[0]) == pytest.approx(math.log1p(1 / own) + 8 * math.log1p(other), rel=1e-3)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="`temperature`"):
        losses.non_parametric_softmax(POSITIVE, SIMILARITY, temperature=0)
    with pytest.raises(UserError, match="`count`"):
        losses.noise_contrastive(POSITIVE, SIMILARITY, log_partition=0.0, count=0)
    with pytest.raises(UserError, match=r"`noise`.*m at least 1.*Received: \(2, 0\)"):
        losses.noise_contrastive(np.zeros(2), np.zeros((2, 0)), log_partition=0.0, count=3)
