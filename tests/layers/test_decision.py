import itertools

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError

SCORES = np.array([[1.0, -2.0, 0.5], [-300.0, -200.0, -250.0], [0.2, 0.1, 3.0]], "float32")


def by_hand(rule, row):
    if rule == "softmax":
        return np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    shares = 1 / (1 + np.exp(-row)) if rule == "sigmoids" else (np.clip(row, -1, 1) + 1) / 2
    return shares / shares.sum() if shares.sum() else np.full(len(row), 1 / len(row))


@pytest.mark.parametrize("rule", ["softmax", "sigmoids", "clipped"])
def test_rules_by_hand(rule):
    expected = [by_hand(rule, row) for row in SCORES.astype("float64")]
    np.testing.assert_allclose(kv.layers.Decision(rule)(SCORES), expected, atol=1e-6)


def test_one_score_is_that_of_the_second_class():
    score = np.array([[-1.5], [0.0], [0.25]], "float32")
    sigmoid = 1 / (1 + np.exp(-score[:, 0]))
    for rule in ("softmax", "sigmoids"):
        np.testing.assert_allclose(kv.layers.Decision(rule)(score)[:, 1], sigmoid, atol=1e-6)
    np.testing.assert_allclose(kv.layers.Decision("clipped")(score), [[1, 0], [0.5, 0.5], [0.375, 0.625]], atol=1e-6)
    assert kv.layers.Decision("softmax").compute_output_shape((None, 1)) == (None, 2)


def test_pairs_vote():
    pairs = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
    for row, found in zip(pairs, np.asarray(kv.layers.Decision("votes")(pairs)), strict=True):
        votes, sums = np.zeros(4), np.zeros(4)
        for score, (first, second) in zip(row, itertools.combinations(range(4), 2), strict=True):
            votes[first if score >= 0 else second] += 1
            sums[first] += score
            sums[second] -= score
        expected = votes + sums / (3 * (abs(sums) + 1))
        np.testing.assert_allclose(found, np.exp(expected) / np.exp(expected).sum(), atol=1e-6)
    assert kv.layers.Decision("votes").compute_output_shape((None, 6)) == (None, 4)


def test_is_restored_from_its_config_and_knows_its_rules():
    layer = keras.layers.deserialize(keras.layers.serialize(kv.layers.Decision("votes")))
    assert layer.rule == "votes"
    with pytest.raises(UserError, match="`rule`"):
        kv.layers.Decision("vote")
