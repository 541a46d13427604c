import keras
import numpy as np
import tensorflow as tf

from kvision import ops


def test_rows_have_length_one_in_float32_from_half_precision_too():
    x = np.random.default_rng(0).normal(size=(5, 7))
    expected = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(ops.unit(x.astype("float32")), expected, atol=1e-6)
    half = ops.unit(keras.ops.cast(1000 * x, "float16"))  # whose squares are beyond its range
    assert half.dtype == "float32"
    np.testing.assert_allclose(half, expected, atol=1e-3)


def test_a_row_of_zeros_stays_and_has_a_finite_gradient():
    x = tf.Variable(np.array([[0.0, 0.0], [3.0, 4.0]], "float32"))
    with tf.GradientTape() as tape:
        y = ops.unit(x)
        total = tf.reduce_sum(y * [[1.0, 2.0], [1.0, 0.0]])
    np.testing.assert_allclose(y, [[0, 0], [0.6, 0.8]], atol=1e-6)
    gradient = np.array(tape.gradient(total, x))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1], [(1 - 0.36) / 5, -0.48 / 5], atol=1e-6)
