import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import same_in_tflite

import kvision as kv
from kvision.backbones.auxiliary import inference
from kvision.backbones.googlenet import LOSS_WEIGHTS
from kvision.checks import UserError

# Table 1: layers whose names begin so, output of the last one at 224 pixels, parameters
TABLE = {
    "conv1": ((112, 112, 64), 9_472),
    "pool1": ((56, 56, 64), 0),
    "conv2": ((56, 56, 64), 4_160),
    "conv3": ((56, 56, 192), 110_784),
    "pool2": ((28, 28, 192), 0),
    "inception_3a": ((28, 28, 256), 163_696),
    "inception_3b": ((28, 28, 480), 388_736),
    "pool3": ((14, 14, 480), 0),
    "inception_4a": ((14, 14, 512), 376_176),
    "inception_4b": ((14, 14, 512), 449_160),
    "inception_4c": ((14, 14, 512), 510_104),
    "inception_4d": ((14, 14, 528), 605_376),
    "inception_4e": ((14, 14, 832), 868_352),
    "pool4": ((7, 7, 832), 0),
    "inception_5a": ((7, 7, 832), 1_043_456),
    "inception_5b": ((7, 7, 1024), 1_444_080),
    "main": ((1000,), 1_025_000),
}


def small(**options) -> keras.Model:
    return kv.backbones.googlenet(classes=3, image_size=65, **options)


def images(count: int = 4, size: int = 65) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")


def test_every_row_of_the_paper():
    model = kv.backbones.googlenet()
    found = {}
    for name in TABLE:
        layers = [layer for layer in model.layers if layer.name == name or layer.name.startswith(f"{name}_")]
        found[name] = (layers[-1].output.shape[1:], sum(layer.count_params() for layer in layers))
    assert found == TABLE
    stem = [layer.name for layer in model.layers[2:9]]
    assert stem == ["conv1", "pool1", "norm1", "conv2", "conv3", "norm2", "pool2"]  # figure 3
    assert model.count_params() == 13_378_280 and inference(model).count_params() == 6_998_552
    assert {name: model.get_layer(f"{name}_pool").output.shape[1:] for name in ("aux1", "aux2")} == {
        "aux1": (4, 4, 512),  # section 5: "4x4x512 output for the (4a), and 4x4x528 for the (4d) stage"
        "aux2": (4, 4, 528),
    }
    assert [model.get_layer(f"{n}_dropout").rate for n in ("main", "aux1", "aux2")] == [0.4, 0.7, 0.7]
    assert kv.backbones.googlenet(auxiliary=False).count_params() == 6_998_552


def test_three_losses_reach_the_stem_and_only_what_lies_below():
    model = small()
    parts = ["conv1", "inception_4b_1x1", "inception_4e_1x1", "main", "aux1", "aux2"]
    kernels = [model.get_layer(name).kernel for name in parts]
    reached = {}
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(images(), training=False)
        losses = {name: -tf.reduce_mean(tf.math.log(out[:, 0])) for name, out in outputs.items()}
    for name, loss in losses.items():
        gradients = tape.gradient(loss, kernels)
        reached[name] = {
            part for part, g in zip(parts, gradients, strict=True) if g is not None and np.abs(g.numpy()).max() > 0
        }
    assert reached == {
        "main": {"conv1", "inception_4b_1x1", "inception_4e_1x1", "main"},
        "aux1": {"conv1", "aux1"},
        "aux2": {"conv1", "inception_4b_1x1", "aux2"},
    }


def test_trains_on_the_weighted_sum_and_serves_main(tmp_path):
    keras.utils.set_random_seed(0)
    model, labels = small(), np.arange(4) % 3
    served = inference(model)
    y = dict.fromkeys(LOSS_WEIGHTS, labels)
    losses = dict.fromkeys(LOSS_WEIGHTS, "sparse_categorical_crossentropy")
    model.compile(keras.optimizers.SGD(1e-4), losses, loss_weights=LOSS_WEIGHTS, run_eagerly=True)
    logs = model.evaluate(images(), y, verbose=0, return_dict=True)
    outputs = model.predict_on_batch(images())
    each = {name: -np.log(out[np.arange(4), labels]).mean() for name, out in outputs.items()}
    expected = each["main"] + 0.3 * each["aux1"] + 0.3 * each["aux2"]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    before = served(images(), training=False).numpy()
    model.fit(images(), y, verbose=0)
    after = served(images(), training=False).numpy()
    assert np.abs(after - before).max() > 1e-6, "the weights are shared"
    np.testing.assert_allclose(after, model(images(), training=False)["main"], rtol=1e-6)
    assert not any(layer.name.startswith("aux") for layer in served.layers)

    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(inference(reloaded)(images(), training=False), after)


def test_an_inception_block_is_four_branches_side_by_side():
    model = small(auxiliary=False)
    layer, x = model.get_layer, np.random.default_rng(1).normal(size=(1, 9, 9, 192)).astype("float32")
    join = layer("inception_3a_join")
    block = keras.Model(layer("pool2").output, join.output)
    relu = lambda name, z: np.maximum(np.tensordot(z, layer(name).kernel[0, 0], 1) + layer(name).bias, 0)  # noqa: E731
    out = np.asarray(block(x))
    np.testing.assert_allclose(out[..., :64], relu("inception_3a_1x1", x), atol=1e-5)
    reduced = relu("inception_3a_5x5_reduce", x)
    fives = layer("inception_3a_5x5")
    center = np.einsum("bijc,ijcd->bd", reduced[:, 2:7, 2:7], fives.kernel) + fives.bias
    np.testing.assert_allclose(out[:, 4, 4, 192:224], np.maximum(center, 0), atol=1e-4)
    pooled = x[:, 3:6, 3:6].max(axis=(1, 2))
    np.testing.assert_allclose(out[:, 4, 4, 224:], relu("inception_3a_project", pooled), atol=1e-5)


@pytest.mark.slow
def test_tflite_equals_keras():
    same_in_tflite(kv.backbones.create("GoogLeNet", image_size=32, pooling="avg"))


def test_freeze_keeps_whole_blocks():
    model = kv.transfer.attach(kv.backbones.create("GoogLeNet", image_size=32, pooling="avg"), 3)
    for stage, blocks in {"stage5": ("5a", "5b"), "stage4": ("4a", "4b", "4c", "4d", "4e", "5a", "5b")}.items():
        variables = kv.schedules.freeze(model, above=stage)
        trained = {v.path.split("/")[0].removeprefix("inception_")[:2] for v in variables if "inception" in v.path}
        assert trained == {*blocks} and len(variables) == 12 * len(blocks) + 2


def test_errors():
    with pytest.raises(UserError, match=r"at least 65 .*auxiliary=False"):
        kv.backbones.googlenet(image_size=64)
    assert kv.backbones.googlenet(classes=2, image_size=64, auxiliary=False).output_shape == (None, 2)
    with pytest.raises(UserError, match="`classes`"):
        kv.backbones.googlenet(classes=1)
