import numpy as np
import pytest
from contracts import same_in_tflite

import kvision as kv
from kvision.checks import UserError

# layer: (output at 227 pixels, parameters); the sizes are section 3.5's, the sum is the paper's "60 million"
TABLE = {
    "conv1": ((55, 55, 96), 34_944),
    "pool1": ((27, 27, 96), 0),
    "conv2": ((27, 27, 256), 307_456),
    "pool2": ((13, 13, 256), 0),
    "conv3": ((13, 13, 384), 885_120),
    "conv4": ((13, 13, 384), 663_936),
    "conv5": ((13, 13, 256), 442_624),
    "pool5": ((6, 6, 256), 0),
    "dense6": ((4096,), 37_752_832),
    "dense7": ((4096,), 16_781_312),
    "probabilities": ((1000,), 4_097_000),
}


@pytest.fixture(scope="module")
def classifier():
    return kv.backbones.alexnet()


def test_every_row_of_the_paper(classifier):
    found = {name: classifier.get_layer(name) for name in TABLE}
    assert {name: (layer.output.shape[1:], layer.count_params()) for name, layer in found.items()} == TABLE
    assert classifier.count_params() == 60_965_224
    ungrouped = sum((layer.groups - 1) * layer.kernel.shape.num_elements() for layer in _convolutions(found))
    assert classifier.count_params() + ungrouped == 62_378_344, "control: what it would be without groups"


def test_initial_values_are_the_papers(classifier):
    ones = {"conv2", "conv4", "conv5", "dense6", "dense7"}
    for layer in (layer for layer in classifier.layers if layer.weights):
        kernel, bias = layer.get_weights()
        np.testing.assert_array_equal(bias, np.full(bias.shape, float(layer.name in ones), "float32"))
        sample = kernel.ravel()[:30_000]
        assert abs(sample.std() / 0.01 - 1) < 0.03 and abs(sample.mean()) < 3e-4, layer.name
    assert [classifier.get_layer(f"dropout{n}").rate for n in (6, 7)] == [0.5, 0.5]
    assert kv.backbones.stages(classifier) == {"stage1": "image", "stage2": "conv2", "stage3": "conv3"}


def test_groups_see_half_of_the_channels():
    model = kv.backbones.create("AlexNet", image_size=67)
    for name, groups in {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}.items():
        layer = model.get_layer(name)
        x = np.random.default_rng(0).normal(0, 10, (1, 12, 12, layer.input.shape[-1])).astype("float32")
        changed = x.copy()
        changed[..., x.shape[-1] // 2 :] += 10
        moved = np.abs(np.asarray(layer(x)) - np.asarray(layer(changed))).max(axis=(0, 1, 2)) > 0
        half = moved.size // 2
        assert moved[half:].any() and moved[:half].any() == (groups == 1), name


def test_responses_are_normalized_before_the_pools():
    model = kv.backbones.create("AlexNet", image_size=67)
    names = [layer.name for layer in model.layers]
    assert names[:5] == ["image", "preprocess", "conv1", "norm1", "pool1"] and names[5:7] == ["conv2", "norm2"]


def test_tflite_equals_keras():
    same_in_tflite(kv.backbones.create("AlexNet", image_size=67, pooling="avg"))


def test_stages_freeze_and_others_are_named():
    model = kv.transfer.attach(kv.backbones.create("AlexNet", image_size=67, pooling="avg"), 3)
    trained = {variable.path.split("/")[0] for variable in kv.schedules.freeze(model, above="stage3")}
    assert trained == {"conv3", "conv4", "conv5", "probabilities"}
    with pytest.raises(
        UserError, match=r"no stage or layer of 'AlexNet'. Expected one of: top, stage1, stage2, stage3, all"
    ):
        kv.schedules.freeze(model, above="stage4")


@pytest.mark.parametrize("arguments", [{"classes": 1}, {"image_size": 66}])
def test_errors(arguments):
    with pytest.raises(UserError, match=f"`{next(iter(arguments))}`"):
        kv.backbones.alexnet(**arguments)


def _convolutions(layers: dict) -> list:
    return [layer for name, layer in layers.items() if name.startswith("conv")]
