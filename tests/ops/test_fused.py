import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.ops import fused

RANDOM = np.random.default_rng(0)


def test_normalize_is_the_formula_with_the_variance_of_all():
    x, scale, offset = (RANDOM.normal(5, 2, shape).astype("float32") for shape in ((2, 3, 4, 5), 5, 5))
    maps, mean, variance = fused.normalize(tf.constant(x), tf.constant(scale), tf.constant(offset), 0.1)
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var((0, 1, 2)), rtol=1e-5)
    normal = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 0.1)
    np.testing.assert_allclose(maps, normal * scale + offset, atol=1e-5)
    assert np.abs(x.var((0, 1, 2), ddof=1) / np.asarray(variance) - 1).min() > 0.01, "control"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_normalize_by_is_the_formula_in_float32(dtype):
    x = RANDOM.normal(5, 2, (2, 3, 4, 5)).astype("float32")
    scale, offset, mean, variance = (RANDOM.uniform(1, 2, 5).astype("float32") for _ in range(4))
    maps = tf.cast(x, dtype)
    found = fused.normalize_by(maps, *map(tf.constant, (scale, offset, mean, variance)), 0.1)
    assert found.dtype == dtype
    expected = (np.asarray(tf.cast(maps, "float64")) - mean) / np.sqrt(variance + 0.1) * scale + offset
    tolerance = 1e-5 if dtype == "float32" else 8e-3
    np.testing.assert_allclose(tf.cast(found, "float64"), expected, rtol=tolerance, atol=tolerance)


def test_adam_is_one_step_of_the_formula():
    variable, m, v = (tf.Variable(RANDOM.uniform(1, 2, 3), dtype="float32") for _ in range(3))
    before = [np.asarray(each, "float64") for each in (variable, m, v)]
    gradient = np.array([1.0, -2.0, 0.1])
    fused.adam(variable, m, v, tf.constant(gradient, "float32"), tf.constant(0.5), 0.8, 0.9, 0.01)
    first, second = 0.8 * before[1] + 0.2 * gradient, 0.9 * before[2] + 0.1 * gradient**2
    np.testing.assert_allclose(m, first, rtol=1e-6)
    np.testing.assert_allclose(v, second, rtol=1e-6)
    np.testing.assert_allclose(variable, before[0] - 0.5 * first / (np.sqrt(second) + 0.01), rtol=1e-6)


@pytest.mark.parametrize(("compiled", "expected"), [(False, True), (True, False), (None, True)])
def test_no_normalization_in_what_xla_compiles(compiled, expected):
    seen = []

    def step():
        seen.append(fused.has_normalize("float32", training=True))
        tf.cond(tf.constant(1) > 0, lambda: seen.append(fused.has_normalize("float16", training=True)), lambda: None)
        assert fused.has_normalize("float32", training=False)
        return tf.constant(0)

    step() if compiled is None else tf.function(step, jit_compile=compiled)()
    assert seen == [expected, expected]


def test_no_kernel_of_fixed_statistics_where_a_gradient_may_be_taken():
    """Its gradient takes longer than that of Keras' operations."""
    with tf.GradientTape():
        assert not fused.has_normalize("float32", training=False) and fused.has_normalize("float32", training=True)
    assert fused.has_normalize("float32", training=False)


def test_no_adam_for_halves_and_for_rows_of_a_table():
    variable, gradient = tf.Variable([1.0]), tf.constant([1.0])
    assert fused.has_adam(gradient, variable) and not fused.has_normalize("float64", training=True)
    assert not fused.has_adam(tf.IndexedSlices(gradient, tf.constant([0])), variable)
    assert not fused.has_adam(gradient, tf.Variable([1.0], dtype="bfloat16"))


def test_other_backends_have_none(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert not fused.has_normalize("float32", training=True)
    assert not fused.has_adam(tf.constant([1.0]), tf.Variable([1.0]))
