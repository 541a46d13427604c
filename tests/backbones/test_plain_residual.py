import keras
import numpy as np
import pytest
from contracts import same_in_tflite

import kvision as kv
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3)).astype("float32")


def run(model, x) -> np.ndarray:
    return np.asarray(model(x, training=False))


@pytest.mark.parametrize(("depth", "count"), [(20, 271_098), (56, 857_082), (110, 1_736_058)])
def test_parameters_and_sizes(depth, count):
    shapes = []
    for residual in (True, False):
        model = kv.backbones.plain_residual(depth, residual=residual)
        assert model.count_params() == count
        weighted = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
        assert len(weighted) == depth, "the depth counts the layers with weights"
        shapes.append([weight.shape for weight in model.weights])
        last = (depth - 2) // 6
        sizes = [model.get_layer(f"stage{n}_block{last}_relu2").output.shape[1:] for n in (1, 2, 3)]
        assert sizes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]
        assert any(isinstance(layer, keras.layers.Add) for layer in model.layers) == residual
    assert shapes[0] == shapes[1], "a shortcut has no parameters"


def convolution(x, kernel, stride):
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    size = -(-x.shape[1] // stride)
    out = np.zeros((len(x), size, size, kernel.shape[-1]))
    for row in range(size):
        for column in range(size):
            window = padded[:, row * stride : row * stride + 3, column * stride : column * stride + 3]
            out[:, row, column] = np.tensordot(window, kernel, 3)
    return out


def normalized(x, layer):
    gamma, beta, mean, variance = layer.get_weights()
    return gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("block", "stride"), [("stage1_block1", 1), ("stage2_block1", 2)])
def test_a_block_is_the_formula(residual, block, stride):
    """relu(F(x) + shortcut(x)) in NumPy, the pixels counted by hand: also that both halves look at the same ones."""
    model = kv.backbones.plain_residual(8, residual=residual, classes=None, image_size=12)
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    before = {"stage1_block1": "conv1_relu", "stage2_block1": "stage1_block1_relu2"}[block]
    ends = [model.get_layer(name).output for name in (before, f"{block}_relu2")]
    x, out = keras.Model(model.input, ends)(IMAGES, training=False)
    x, part = np.asarray(x, "float64"), lambda name: model.get_layer(f"{block}_{name}")
    y = np.maximum(normalized(convolution(x, part("conv1").get_weights()[0], stride), part("conv1_bn")), 0)
    y = normalized(convolution(y, part("conv2").get_weights()[0], 1), part("conv2_bn"))
    if residual:
        y[..., : x.shape[-1]] += x[:, ::stride, ::stride]
    np.testing.assert_allclose(out, np.maximum(y, 0), rtol=1e-4, atol=1e-4 * y.max())


def test_without_its_branches_a_residual_stack_is_the_identity_and_a_plain_one_nothing():
    outputs = {}
    for residual in (True, False):
        model = kv.backbones.plain_residual(20, residual=residual, classes=None, image_size=12)
        for layer in model.layers:
            if layer.name.endswith("conv2_bn"):
                layer.set_weights([0 * layer.get_weights()[0], *layer.get_weights()[1:]])
        stem = keras.Model(model.input, model.get_layer("conv1_relu").output)
        outputs[residual] = run(model, IMAGES), run(stem, IMAGES)
    features, stem = outputs[True]
    np.testing.assert_array_equal(features[..., :16], stem[:, ::4, ::4])
    assert not features[..., 16:].any() and not outputs[False][0].any()


def test_the_same_weights_with_and_without_shortcuts_differ():
    residual, plain = (kv.backbones.plain_residual(20, residual=r, image_size=12) for r in (True, False))
    plain.set_weights(residual.get_weights())
    assert [w.path for w in plain.weights] == [w.path for w in residual.weights]
    assert np.abs(run(plain, IMAGES) - run(residual, IMAGES)).max() > 1e-2


@pytest.mark.parametrize("name", ["ResNet20", pytest.param("Plain20", marks=pytest.mark.slow)])
def test_tflite_equals_keras(name):
    same_in_tflite(kv.backbones.create(name, image_size=8, pooling="avg"))


def test_stages_freeze_and_others_are_named():
    model = kv.transfer.attach(kv.backbones.create("ResNet20", pooling="avg"), 3)
    variables = kv.schedules.freeze(model, above="stage3", norm="train")
    assert {v.path.split("_")[0] for v in variables} == {"stage3", "probabilities/kernel", "probabilities/bias"}
    assert len(variables) == 6 * 3 + 2
    with pytest.raises(UserError, match=r"no stage or layer of 'ResNet20'.*: top, stage1, stage2, stage3, all"):
        kv.schedules.freeze(model, above="stage5")


def test_own_weights_load_again(tmp_path):
    source = kv.backbones.create("ResNet20", pooling="avg")
    source.save_weights(tmp_path / "mine.weights.h5")
    loaded = kv.backbones.create("ResNet20", pooling="avg", weights=tmp_path / "mine.weights.h5")
    np.testing.assert_array_equal(*(run(m, np.zeros((1, 32, 32, 3), "float32")) for m in (source, loaded)))
    with pytest.raises(UserError, match="do not fit ResNet56"):
        kv.backbones.create("ResNet56", pooling="avg", weights=tmp_path / "mine.weights.h5")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"depth": 18}, "6n . 2"), ({"depth": 2}, "`depth`"), ({"depth": 8, "classes": 1}, "`classes`")],
)
def test_errors(arguments, text):
    with pytest.raises(UserError, match=text):
        kv.backbones.plain_residual(**arguments)


def test_normalization_is_that_of_the_authors_code():
    model = kv.backbones.plain_residual(8, classes=None, image_size=8)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-5)}
