import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.checks import UserError
from kvision.export import litert

FEATURES = np.random.default_rng(0).normal(0, 30, (2, 3, 4, 7)).astype("float32")


def oracle(a: np.ndarray, n: int, k: float, alpha: float, beta: float) -> np.ndarray:
    """Section 3.3's sum, channel by channel, in float64."""
    a, count = a.astype("float64"), a.shape[-1]
    b = np.empty_like(a)
    for i in range(count):
        near = range(max(0, i - n // 2), min(count - 1, i + n // 2) + 1)
        b[..., i] = a[..., i] / (k + alpha * sum(a[..., j] ** 2 for j in near)) ** beta
    return b


@pytest.mark.parametrize(
    ("size", "k", "alpha", "beta"),
    [(5, 2.0, 1e-4, 0.75), (1, 1.0, 0.01, 0.5), (3, 0.5, 1.0, 1.0), (15, 2.0, 1e-3, 0.75)],
)
def test_equals_the_formula_and_tensorflow(size, k, alpha, beta):
    ours = np.asarray(kv.layers.LocalResponseNorm(size, k=k, alpha=alpha, beta=beta)(FEATURES))
    np.testing.assert_allclose(ours, oracle(FEATURES, size, k, alpha, beta), rtol=1e-5)
    theirs = tf.nn.local_response_normalization(FEATURES, depth_radius=size // 2, bias=k, alpha=alpha, beta=beta)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    divided = oracle(FEATURES, size, k, alpha / size, beta)
    assert size == 1 or np.abs(ours - divided).max() > 1e-2, "control: alpha / n, as Caffe has it, would show"


def test_defaults_are_the_papers_and_any_rank_goes():
    layer = kv.layers.LocalResponseNorm()
    np.testing.assert_allclose(layer(FEATURES[0, 0]), oracle(FEATURES[0, 0], 5, 2.0, 1e-4, 0.75), rtol=1e-5)


def test_gradient_equals_tensorflow():
    x, layer = tf.constant(FEATURES), kv.layers.LocalResponseNorm(alpha=1e-3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = tf.reduce_sum(layer(x) ** 2)
        theirs = tf.reduce_sum(tf.nn.local_response_normalization(x, 2, 2.0, 1e-3, 0.75) ** 2)
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(theirs, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2), ("float64", 1e-12)]
)
def test_dtypes(dtype, tolerance):
    """Values above 256: their squares do not fit float16."""
    x = (FEATURES * 10).astype("float64")
    out = kv.layers.LocalResponseNorm(dtype=dtype)(keras.ops.cast(x, keras.DTypePolicy(dtype).compute_dtype))
    assert keras.backend.standardize_dtype(out.dtype) == keras.DTypePolicy(dtype).compute_dtype
    expected = oracle(x, 5, 2.0, 1e-4, 0.75)
    assert np.abs(x).max() > 300
    np.testing.assert_allclose(keras.ops.cast(out, "float64"), expected, rtol=tolerance * 4, atol=tolerance)


def test_reload_and_tflite(tmp_path):
    image = keras.Input((4, 4, 7), name="image")
    model = keras.Model(image, kv.layers.LocalResponseNorm(3, k=1.0, alpha=0.1, beta=0.6, name="norm")(image))
    model.save(tmp_path / "model.keras")
    layer = keras.models.load_model(tmp_path / "model.keras").get_layer("norm")
    assert (layer.size, layer.k, layer.alpha, layer.beta) == (3, 1.0, 0.1, 0.6)
    x = np.random.default_rng(1).normal(0, 3, (2, 4, 4, 7)).astype("float32")
    lite = litert.interpreter(litert.convert(model, batch_size=2), threads=1)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], x)
    lite.invoke()
    np.testing.assert_allclose(
        lite.get_tensor(lite.get_output_details()[0]["index"]), oracle(x, 3, 1, 0.1, 0.6), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(("arguments", "name"), [({"size": 4}, "size"), ({"k": 0.0}, "k"), ({"alpha": -1.0}, "alpha")])
def test_errors(arguments, name):
    with pytest.raises(UserError, match=f"`{name}`"):
        kv.layers.LocalResponseNorm(**arguments)
