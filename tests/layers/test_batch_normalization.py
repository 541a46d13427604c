from typing import Any

import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf

import kvision as kv

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.normal(3, 2, (4, 5, 6, 7)).astype("float32")
TARGET = RANDOM.normal(size=MAPS.shape).astype("float32")
VALUES = RANDOM.uniform(0.5, 2, (4, 7)).astype("float32")


def trained(layer: keras.Layer, maps=MAPS, training: bool = True) -> dict[str, np.ndarray]:
    """What a layer says, its statistics afterwards and its gradients."""
    layer.build(maps.shape)
    layer.set_weights(VALUES[: len(layer.weights), : maps.shape[-1]])
    x = tf.constant(maps)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, "float32") * TARGET.reshape(-1)[: maps.size].reshape(maps.shape))
    slopes = tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])
    names = ["maps", *[v.name for v in layer.trainable_variables]]
    moving = {v.name: np.asarray(v) for v in layer.non_trainable_variables}
    return {
        "out": np.asarray(y),
        **moving,
        **{f"d {n}": np.asarray(s) for n, s in zip(names, slopes, strict=True) if s is not None},
    }


def operations(layer: keras.Layer, training: bool = True, shape=MAPS.shape, **options) -> set[str]:
    layer.build(shape)
    graph = tf.function(lambda x: layer(x, training=training, **options)).get_concrete_function(
        tf.TensorSpec(shape, layer.compute_dtype)
    )
    return {operation.type for operation in graph.graph.get_operations()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        *({}, {"momentum": 0.9, "epsilon": 1e-5}, {"scale": False}, {"center": False}),
        *({"scale": False, "center": False}, {"axis": 3}, {"trainable": False}),
        *({"dtype": "mixed_float16"}, {"dtype": "mixed_bfloat16"}),
    ],
    ids=str,
)
def test_equals_keras_in_values_statistics_and_gradients(options, training):
    policy = keras.DTypePolicy(options.get("dtype", "float32"))
    maps = MAPS.astype("float16" if "16" in policy.compute_dtype else "float32")
    ours, theirs = (
        trained(kind(**options), maps, training)
        for kind in (kv.layers.BatchNormalization, keras.layers.BatchNormalization)
    )
    assert ours.keys() == theirs.keys() and ours["out"].dtype == theirs["out"].dtype
    tolerance = {"float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}[policy.compute_dtype]
    for name in ours:
        found, expected = (np.asarray(values[name], "float64") for values in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=name)


def test_equals_the_formula():
    """Ioffe & Szegedy 2015, algorithm 1, in float64; the moving variance is of the biased one, as Keras has it."""
    layer = kv.layers.BatchNormalization(momentum=0.75, epsilon=0.1)
    found, x = trained(layer), MAPS.astype("float64")
    gamma, beta, before_mean, before_variance = VALUES.astype("float64")
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(found["out"], (x - mean) / np.sqrt(variance + 0.1) * gamma + beta, atol=1e-5)
    np.testing.assert_allclose(found["moving_mean"], 0.75 * before_mean + 0.25 * mean, rtol=1e-5)
    np.testing.assert_allclose(found["moving_variance"], 0.75 * before_variance + 0.25 * variance, rtol=1e-5)
    unbiased = 0.75 * before_variance + 0.25 * x.var((0, 1, 2), ddof=1)
    assert np.abs(found["moving_variance"] / unbiased - 1).max() > 1e-3, "control: the kernel's own would show"


@pytest.mark.parametrize(("mean", "deviation"), [(100, 0.1), (128, 1)])
@pytest.mark.parametrize("compiled", [False, True])
def test_far_from_zero_the_variance_is_still_right(mean, deviation, compiled):
    """In float32 E[x^2] - E[x]^2 would be off by percents, and below zero."""
    x = RANDOM.normal(mean, deviation, (16, 8, 8, 4)).astype("float32")
    layer = kv.layers.BatchNormalization(momentum=0.0, epsilon=1e-5)
    layer.build(x.shape)

    def step(maps):
        return layer(maps, training=True)

    out = tf.function(step, jit_compile=compiled)(x)
    exact = x.astype("float64")
    np.testing.assert_allclose(layer.moving_variance, exact.var((0, 1, 2)), rtol=1e-3)
    normal = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(out, normal, atol=0.01)


def test_sizes_that_a_graph_does_not_know():
    layer = kv.layers.BatchNormalization(momentum=0.0)
    layer.build((None, None, None, 7))
    step = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.TensorSpec([None] * 4))
    step(tf.constant(MAPS))
    np.testing.assert_allclose(layer.moving_variance, MAPS.var((0, 1, 2)), rtol=1e-5)


def test_one_pixel_has_no_variance():
    one = MAPS[:1, :1, :1]
    ours, theirs = (trained(kind(), one) for kind in (kv.layers.BatchNormalization, keras.layers.BatchNormalization))
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5, err_msg=name)


def test_one_kernel_on_one_device_and_keras_elsewhere():
    fused = "FusedBatchNormV3"
    assert fused in operations(kv.layers.BatchNormalization())
    assert fused in operations(kv.layers.BatchNormalization(dtype="mixed_float16"))
    assert fused not in operations(keras.layers.BatchNormalization()), "control: Keras has it by now"
    assert fused in operations(kv.layers.BatchNormalization(), training=False)
    assert fused in operations(kv.layers.BatchNormalization(synchronized=True), training=False)
    frozen = kv.layers.BatchNormalization()
    frozen.trainable = False
    assert fused in operations(frozen)
    assert "Cast" not in operations(kv.layers.BatchNormalization(dtype="mixed_bfloat16"), training=False), "half maps"
    for layer in (
        kv.layers.BatchNormalization(axis=1),
        kv.layers.BatchNormalization(renorm=True),
        kv.layers.BatchNormalization(dtype="float64"),
        kv.layers.BatchNormalization(synchronized=True),
    ):
        assert fused not in operations(layer)
    assert fused not in operations(kv.layers.BatchNormalization(), shape=(4, 7))
    assert fused not in operations(kv.layers.BatchNormalization(), mask=tf.ones(MAPS.shape[:-1], bool))


def test_is_saved_compiled_and_taken_for_keras(tmp_path):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, kv.layers.BatchNormalization(momentum=0.5, name="norm")(image))
    model.compile(kv.training.SGD(0.1), "mse", jit_compile=True)
    x = RANDOM.normal(size=(4, 8, 8, 3)).astype("float32")
    model.fit(x, x * 2, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    norm = again.get_layer("norm")
    assert type(norm) is kv.layers.BatchNormalization and isinstance(norm, keras.layers.BatchNormalization)
    assert norm.get_config() == model.get_layer("norm").get_config()
    np.testing.assert_array_equal(again.predict_on_batch(x), model.predict_on_batch(x))
    np.testing.assert_allclose(norm.moving_mean, 0.5 * x.mean((0, 1, 2)), atol=1e-5)


@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_its_statistics_are_of_the_whole_batch_on_replicas(devices):
    (found,) = replicas.run(
        """
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((4, 4, 3)), kv.layers.BatchNormalization(momentum=0.5)])
            model.compile(keras.optimizers.SGD(0.1), "mse")
        x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
        x[4:] += 3
        kv.training.fit(model, (x, x**2), epochs=1, batch_size=8, verbose=0)
        answer(variance=model.layers[0].moving_variance.numpy().tolist(), gamma=model.layers[0].gamma.numpy().tolist())
        """,
        devices=devices,
    )
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
    x[4:] += 3
    np.testing.assert_allclose(found["variance"], 0.5 + 0.5 * x.var((0, 1, 2)), rtol=1e-5)
    mean, deviation = x.mean((0, 1, 2)), np.sqrt(x.var((0, 1, 2)) + 1e-3)
    normal = (x - mean) / deviation
    slope = (2 * (normal - x**2) * normal).sum((0, 1, 2)) / x.size
    np.testing.assert_allclose(found["gamma"], 1 - 0.1 * slope, rtol=1e-4)


def test_a_network_of_keras_layers_gets_the_kernel_and_keeps_names_weights_and_values(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    inner = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.BatchNormalization(name="inside")], name="inner"
    )
    model = keras.Model(image, keras.layers.BatchNormalization(name="norm")(inner(image)))
    model.set_weights([RANDOM.uniform(0.5, 2, weight.shape) for weight in model.weights])
    model.save_weights(tmp_path / "before.weights.h5")
    paths, expected = [weight.path for weight in model.weights], np.asarray(model(MAPS[..., :3], training=False))
    model.set_weights([0 * weight for weight in model.get_weights()])
    kv.layers.fuse_norms(model)
    model.load_weights(tmp_path / "before.weights.h5")
    assert [weight.path for weight in model.weights] == paths
    np.testing.assert_allclose(model(MAPS[..., :3], training=False), expected, rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again: Any = keras.models.load_model(tmp_path / "model.keras")
    norms = [again.get_layer("norm"), again.get_layer("inner").get_layer("inside")]
    assert [type(layer) for layer in norms] == [kv.layers.BatchNormalization] * 2
    np.testing.assert_array_equal(again(MAPS[..., :3]), model(MAPS[..., :3]))
