"""Losses of coloring against slow NumPy."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.ops import chroma_bins

CENTERS = chroma_bins.centers(cell=0.25)


def batch(*shape: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weight = (random.uniform(size=(*shape, 1)) < 0.8) * random.uniform(0.5, 2, (*shape, 1))
    truth = np.concatenate([random.uniform(-0.6, 0.6, (*shape, 2)), weight], -1).astype("float32")
    return truth, random.normal(0, 0.3, (*shape, 2)).astype("float32")


@pytest.mark.parametrize("shape", [(2, 4, 6), (3, 11)])
@pytest.mark.parametrize("delta", [0.1, None])
def test_huber_and_squared_errors(shape, delta):
    truth, found = batch(*shape)
    for i, loss in enumerate(np.asarray(kv.losses.chroma_losses(truth, found, delta=delta))):
        total = weight = 0.0
        for (u, v, w), (a, b) in zip(truth[i].reshape(-1, 3), found[i].reshape(-1, 2), strict=True):
            for error in (abs(u - a), abs(v - b)):
                large = delta is not None and error > delta
                total += w * (delta * (error - delta / 2) if large else error**2 / 2)
            weight += w
        assert abs(loss - total / weight) < 1e-5


def test_a_smaller_prediction_is_compared_with_means():
    truth, _ = batch(2, 8, 12)
    _, found = batch(2, 4, 6, seed=1)
    slow = np.zeros((2, 4, 6, 3), "float32")
    for i, y, x in np.ndindex(2, 4, 6):
        square = truth[i, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(-1, 3)
        weight = square[:, 2]
        mean = square[:, :2].T @ weight / weight.sum() if weight.sum() else np.zeros(2)
        slow[i, y, x] = (*mean, weight.mean())
    expected = np.asarray(kv.losses.chroma_losses(slow, found))
    np.testing.assert_allclose(np.asarray(kv.losses.chroma_losses(truth, found)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 6), (3, 11)])
def test_cross_entropy_with_weights_of_bins(shape):
    truth, _ = batch(*shape)
    random = np.random.default_rng(2)
    logits = random.normal(0, 2, (*shape, len(CENTERS))).astype("float32")
    weights = random.uniform(0.1, 5, len(CENTERS)).astype("float32")
    losses = np.asarray(kv.losses.chroma_bin_losses(truth, logits, CENTERS, weights=weights, cell=0.25))
    for i, loss in enumerate(losses):
        total = mass = 0.0
        for (*color, w), scores in zip(truth[i].reshape(-1, 3), logits[i].reshape(-1, len(CENTERS)), strict=True):
            squared = ((CENTERS - color) ** 2).sum(-1)
            soft = np.where(squared <= np.sort(squared)[4] + 1e-6, np.exp(-squared / (2 * 0.125**2)), 0)
            soft /= soft.sum()
            share = np.log(np.exp(scores) / np.exp(scores).sum())
            total += w * weights[soft.argmax()] * -(soft * share).sum()
            mass += w
        assert abs(loss - total / mass) < 0.02 * loss
    plain = np.asarray(kv.losses.chroma_bin_losses(truth, logits, CENTERS, cell=0.25))
    assert np.abs(plain - losses).max() > 0.1, "control: the weights count"


def test_what_has_no_weight_does_not_count():
    truth, found = batch(1, 4, 6)
    logits = np.random.default_rng(2).normal(0, 2, (1, 4, 6, len(CENTERS))).astype("float32")
    changed, moved, other = truth.copy(), found.copy(), logits.copy()
    outside = truth[..., 2] == 0
    assert outside.any()
    changed[outside, :2], moved[outside], other[outside] = 0.9, -0.9, 7.0
    for before, after in [
        (kv.losses.chroma_losses(truth, found), kv.losses.chroma_losses(changed, moved)),
        (
            kv.losses.chroma_bin_losses(truth, logits, CENTERS, cell=0.25),
            kv.losses.chroma_bin_losses(changed, other, CENTERS, cell=0.25),
        ),
    ]:
        np.testing.assert_allclose(np.asarray(before), np.asarray(after), atol=1e-6)
    assert float(kv.losses.chroma_losses(0 * truth, found)[0]) == 0


def test_the_losses_of_keras_are_saved(tmp_path):
    truth, found = batch(2, 4, 6)
    logits = np.zeros((2, 4, 6, len(CENTERS)), "float32")
    weights = np.linspace(0.5, 2, len(CENTERS))
    for loss, predicted in [
        (kv.losses.ChromaLoss(delta=0.2), found),
        (kv.losses.ChromaBinLoss(weights=weights, cell=0.25), logits),
    ]:
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert float(loss(truth, predicted)) == float(again(truth, predicted)) > 0
    expected = np.asarray(kv.losses.chroma_losses(truth, found, delta=0.2)).mean()
    assert abs(float(kv.losses.ChromaLoss(delta=0.2)(truth, found)) - expected) < 1e-6


def test_wrong_shapes_are_told():
    truth, found = batch(2, 9, 6)
    for call, name in [
        (lambda: kv.losses.chroma_losses(truth, found[:, :4, :3]), "`truth`"),
        (lambda: kv.losses.chroma_losses(truth[..., :2], found), "`truth`"),
        (lambda: kv.losses.chroma_losses(truth, found, delta=0.0), "`delta`"),
        (lambda: kv.losses.chroma_bin_losses(truth, found, CENTERS), "`scores`"),
    ]:
        with pytest.raises(UserError, match=name):
            call()
