import importlib

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.special import i0e

import kvision as kv
from kvision.checks import UserError

module = importlib.import_module("kvision.selfsup.geometry")
RANDOM = np.random.default_rng(0)


def circle(count: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize("t", [0.5, 2.0, 4.0])
def test_uniformity_of_a_circle_is_a_bessel_function(t):
    # the mean of exp(-t (2 - 2 cos)) over the circle is exp(-2 t) I0(2 t); a point beside itself gives 1 and is no pair
    count = 1500  # two blocks
    expected = np.log((count * i0e(2 * t) - 1) / (count - 1))
    assert kv.selfsup.uniformity(circle(count), t) == pytest.approx(expected, abs=1e-5)
    assert kv.selfsup.uniformity(circle(count) * 7, t) == pytest.approx(expected, abs=1e-5), "length says nothing"


def test_uniformity_is_the_mean_over_pairs_of_scipy(monkeypatch):
    z = RANDOM.normal(size=(50, 6)) + 1
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = np.log(np.exp(-2 * pdist(unit, "sqeuclidean")).mean())
    for rows in (1, 7, 50, 1024):
        monkeypatch.setattr(module, "_ROWS", rows)
        assert kv.selfsup.uniformity(z) == pytest.approx(expected, abs=1e-6)


def test_collapsed_it_is_zero_and_opposite_poles_are_the_least():
    assert kv.selfsup.uniformity(np.tile([[1.0, 2, 3]], (9, 1))) == pytest.approx(0, abs=1e-6)
    assert kv.selfsup.uniformity(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(-8, abs=1e-5)
    assert kv.selfsup.uniformity(np.array([[1.0, 0], [-1, 0]]), 1e4) < -600, "too small for a float, not an error"


def test_alignment_is_the_squared_distance_of_unit_rows():
    a = RANDOM.normal(size=(40, 8))
    assert kv.selfsup.alignment(a, 3 * a) == pytest.approx(0, abs=1e-9)
    assert kv.selfsup.alignment(a, -a) == pytest.approx(4)
    assert kv.selfsup.alignment(np.eye(4), np.roll(np.eye(4), 1, axis=0)) == pytest.approx(2)
    turned = np.stack([np.cos([0.3, 0.6]), np.sin([0.3, 0.6])], axis=1)
    assert kv.selfsup.alignment(np.array([[1.0, 0], [2.0, 0]]), turned) == pytest.approx(
        np.mean(2 - 2 * np.cos([0.3, 0.6]))
    )


@pytest.mark.parametrize("width", [64, 128, 256])
def test_spread_of_random_unit_vectors_is_one_over_the_root_of_their_width(width):
    z = np.random.default_rng(1).normal(size=(2000, width)) * np.random.default_rng(2).uniform(1, 9, (2000, 1))
    assert kv.selfsup.spread(z) == pytest.approx(width**-0.5, rel=0.02)


def test_spread_of_one_point_is_zero_and_of_the_axes_by_hand():
    assert kv.selfsup.spread(np.tile([[1.0, 2, 3]], (9, 1))) == pytest.approx(0, abs=1e-9)
    assert kv.selfsup.spread(np.eye(4)) == pytest.approx(np.sqrt(1 / 4 - 1 / 16))


def test_what_is_wrong_is_said():
    with pytest.raises(UserError, match=r"`z` .*at least 2 rows"):
        kv.selfsup.uniformity(np.ones((1, 3)))
    with pytest.raises(UserError, match=r"`t` "):
        kv.selfsup.uniformity(np.ones((2, 3)), 0)
    with pytest.raises(UserError, match=r"`b` .*2 rows"):
        kv.selfsup.alignment(np.ones((2, 3)), np.ones((3, 3)))
    with pytest.raises(UserError, match=r"`b` .*\(n, 3\)"):
        kv.selfsup.alignment(np.ones((2, 3)), np.ones((2, 4)))


def test_an_encoder_that_gives_zeros_has_collapsed():
    assert kv.selfsup.uniformity(np.zeros((4, 3))) == pytest.approx(0, abs=1e-6)
    half = np.array([[0.0, 0], [0, 0], [1, 0]])
    assert kv.selfsup.uniformity(half, 1.0) == pytest.approx(np.log((1 + 2 * np.exp(-1)) / 3), abs=1e-6)
