import numpy as np
import tensorflow as tf

from kvision.ops.warp import warp


def by_loops(images, flow):
    """Bilinear, one pixel after the other; the nearest pixel outside."""
    found = np.zeros_like(images)
    height, width = images.shape[1:3]
    for b, i, j in np.ndindex(images.shape[:3]):
        y, x = np.clip(i + flow[b, i, j, 0], 0, height - 1), np.clip(j + flow[b, i, j, 1], 0, width - 1)
        for row, column in np.ndindex(height, width):
            found[b, i, j] += max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column)) * images[b, row, column]
    return found


RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(2, 5, 7, 3)).astype("float32")
FLOW = RANDOM.normal(0, 2, (2, 5, 7, 2)).astype("float32")


def test_every_pixel_equals_a_slow_loop():
    np.testing.assert_allclose(warp(IMAGES, FLOW), by_loops(IMAGES, FLOW), atol=1e-5)
    swapped = np.asarray(warp(IMAGES, FLOW[..., ::-1]))
    assert np.abs(swapped - by_loops(IMAGES, FLOW)).max() > 0.5  # dx before dy is seen


def test_whole_shifts_move_pixels_and_no_flow_changes_nothing():
    np.testing.assert_array_equal(warp(IMAGES, np.zeros_like(FLOW)), IMAGES)
    found = np.asarray(warp(IMAGES, np.broadcast_to([1.0, -2.0], FLOW.shape)))
    np.testing.assert_array_equal(found[:, :-1, 2:], IMAGES[:, 1:, :-2])


def test_unknown_sizes_work_in_a_graph():
    graph = tf.function(warp, input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None,) * 3 + (2,))])
    np.testing.assert_allclose(graph(IMAGES, FLOW), warp(IMAGES, FLOW), atol=1e-6)


def test_gradients_reach_the_images():
    images = tf.Variable(IMAGES)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(warp(images, FLOW))
    gradient = tf.convert_to_tensor(tape.gradient(total, images)).numpy()
    np.testing.assert_allclose(gradient.sum(), IMAGES.size, rtol=1e-5)  # the weights of each pixel add up to 1
