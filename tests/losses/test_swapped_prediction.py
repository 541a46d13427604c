import math

import numpy as np
import pytest
import tensorflow as tf

from kvision import losses
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
SCORES = [RANDOM.uniform(-1, 1, (4, 6)).astype("float32") for _ in range(4)]
CODES = [RANDOM.dirichlet(np.ones(6), 4).astype("float32") for _ in range(2)]


def test_each_code_is_predicted_from_all_other_views():
    found = np.array(losses.swapped_prediction(CODES, SCORES, temperature=0.1))
    for b in range(4):
        total = 0.0
        for t in range(2):
            others = [v for v in range(4) if v != t]
            for v in others:
                e = np.exp(SCORES[v][b].astype("float64") / 0.1)
                total -= (CODES[t][b] * np.log(e / e.sum())).sum() / len(others)
        assert found[b] == pytest.approx(total / 2, rel=1e-4)


def test_equal_scores_give_the_trivial_value_and_uniform_codes_no_less():
    flat = [np.zeros((4, 6), "float32")] * 2
    np.testing.assert_allclose(losses.swapped_prediction(CODES, flat), math.log(6), rtol=1e-6)
    uniform = [np.full((4, 6), 1 / 6, "float32")] * 2
    assert (np.array(losses.swapped_prediction(uniform, SCORES)) > math.log(6)).all()


def test_codes_carry_no_gradient():
    codes = [tf.Variable(code) for code in CODES]
    scores = [tf.Variable(score) for score in SCORES[:2]]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses.swapped_prediction([*codes], [*scores]))
    gradients = tape.gradient(loss, [*codes, *scores])
    assert gradients[:2] == [None, None] and all(np.abs(g).max() > 0 for g in gradients[2:])


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="`temperature`"):
        losses.swapped_prediction(CODES, SCORES, temperature=0)
    with pytest.raises(UserError, match="`codes` is not valid"):
        losses.swapped_prediction(CODES, SCORES[:1])
