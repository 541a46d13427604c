import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.losses import temporal_error
from kvision.ops.warp import warp

RANDOM = np.random.default_rng(0)
PREVIOUS = RANDOM.normal(size=(3, 6, 8, 2)).astype("float32")
FLOW = RANDOM.normal(0, 1, (3, 6, 8, 2)).astype("float32")
MASK = (RANDOM.uniform(size=(3, 6, 8)) < 0.6).astype("float32")
MASK[2] = 0


def test_colors_that_move_with_the_flow_cost_nothing_and_others_do():
    moved = np.asarray(warp(PREVIOUS, FLOW))
    assert np.abs(temporal_error(moved, PREVIOUS, FLOW, MASK)).max() < 1e-6
    assert float(temporal_error(PREVIOUS, PREVIOUS, FLOW, MASK)[0]) > 0.1
    assert float(temporal_error(moved, PREVIOUS, -FLOW, MASK)[0]) > 0.1  # the other direction is wrong


def test_the_mean_over_certain_pixels_by_a_loop():
    chroma = RANDOM.normal(size=PREVIOUS.shape).astype("float32")
    found, moved = temporal_error(chroma, PREVIOUS, FLOW, MASK), np.asarray(warp(PREVIOUS, FLOW))
    for b in range(2):
        rows = [np.abs(chroma[b, i, j] - moved[b, i, j]).mean() for i, j in np.argwhere(MASK[b] > 0)]
        assert float(found[b]) == pytest.approx(np.mean(rows), rel=1e-5)
    assert float(found[2]) == 0, "a pair over a cut has no certain pixel"


def test_uncertain_pixels_have_no_gradient_and_the_loss_trains_both_frames():
    chroma, previous = tf.Variable(PREVIOUS + 1), tf.Variable(PREVIOUS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(temporal_error(chroma, previous, np.zeros_like(FLOW), MASK))
    here, before = (tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, [chroma, previous]))
    assert (here[MASK == 0] == 0).all() and (here[MASK == 1] > 0).all()
    np.testing.assert_allclose(before, -here, atol=1e-7)
    assert np.isfinite(here).all()


def test_other_shapes_are_refused():
    for wrong in ((PREVIOUS[:, :5], FLOW, MASK), (PREVIOUS, FLOW[..., :1], MASK), (PREVIOUS, FLOW, MASK[..., None])):
        with pytest.raises(kv.UserError):
            temporal_error(PREVIOUS, *wrong)
