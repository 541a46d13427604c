import functools

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


@functools.cache
def attached(name: str) -> keras.Model:
    return kv.transfer.attach(kv.backbones.create(name, image_size=64, pooling="avg"), 3)


def factors(name: str, decay: float, *, layers: str) -> tuple[keras.Model, dict[str, float]]:
    """{layer: factor}; all variables of a layer have one."""
    model = attached(name)
    factors_of, found = kv.schedules.learning_rate_factors(model, decay, layers=layers), {}
    assert set(factors_of) == {id(v) for v in model.variables}
    for layer in [*model.get_layer("body").backbone.layers, model.layers[-1]]:
        if layer.weights:
            (found[layer.name],) = {factors_of[id(v)] for v in layer.variables}
    return model, found


def test_stages_fall_from_the_head():
    model, found = factors("MobileNetV2", 0.5, layers="stage")
    stages = kv.backbones.stages(model.get_layer("body").backbone)
    order, expected, current = list(model.get_layer("body").backbone.layers), {}, ""
    starts = {layer: stage for stage, layer in stages.items()}
    for layer in order:
        current = starts.get(layer.name, current)
        if layer.weights:
            expected[layer.name] = 0.5 ** (6 - int(current.removeprefix("stage")))
    assert found == expected | {"probabilities": 1.0}
    assert set(expected.values()) == {0.5**n for n in (1, 2, 3, 4, 5)}


def test_blocks_fall_one_by_one():
    """EfficientNet-Lite0: stem, 16 blocks, head convolution."""
    _, found = factors("EfficientNetLite0", 0.9, layers="block")
    assert found["probabilities"] == 1.0 and found["head_conv"] == pytest.approx(0.9)
    for block in range(16):
        inside = {value for name, value in found.items() if name.startswith(f"block{block}_")}
        assert inside == {0.9 ** (17 - block)}
    assert found["stem_conv"] == found["stem_bn"] == pytest.approx(0.9**18)


def test_blocks_of_a_network_that_names_none_are_chunks():
    image = keras.Input((8, 8, 3), name="image")
    x = image
    for _ in range(20):
        x = keras.layers.Conv2D(2, 1)(x)
    model = kv.transfer.attach(keras.Model(image, x, name="mine"), 3)
    factors_of = kv.schedules.learning_rate_factors(model, 0.5, layers="block")
    found = [factors_of[id(layer.kernel)] for layer in model.get_layer("body").backbone.layers[1:]]
    assert found == [0.5**4] * 6 + [0.5**3] * 6 + [0.5**2] * 6 + [0.5] * 2  # six layers have twelve variables


def test_a_transformers_last_normalization_goes_with_the_head():
    """Bao et al. 2022: scales of the head, of block 4, ..., of the patches."""
    model = kv.transfer.attach(kv.backbones.vit(depth=4, width=8, heads=2, patch_size=8, image_size=32), 3)
    factors_of = kv.schedules.learning_rate_factors(model, 0.5, layers="block")
    body = model.get_layer("body").backbone
    names = ("norm", "block4_dense1", "block1_norm1")
    found = {name: factors_of[id(body.get_layer(name).weights[0])] for name in names}
    assert found == {"norm": 1.0, "block4_dense1": 0.5, "block1_norm1": 0.5**4}
    assert factors_of[id(body.get_layer("patches").kernel)] == 0.5**5


def test_names_of_parts_of_blocks_are_no_blocks():
    """As in InceptionResNetV2, where the last convolution of each block has its name, and no other: chunks instead."""
    image = keras.Input((8, 8, 3), name="image")
    x = image
    for block in range(12):
        for part in ("in", "mid"):
            x = keras.layers.Conv2D(2, 1, name=f"conv{block}{part}")(x)
        x = keras.layers.Conv2D(2, 1, name=f"block{block % 6}_{block}_conv")(x)
    model = kv.transfer.attach(keras.Model(image, x, name="mine"), 3)
    assert min(kv.schedules.learning_rate_factors(model, 0.5, layers="block").values()) == 0.5**6, "72 variables"


@pytest.mark.parametrize("layers", kv.schedules.groups.GROUPS)
def test_no_decay_is_one_everywhere_and_more_slows_the_input_most(layers):
    assert set(factors("EfficientNetLite0", 1.0, layers=layers)[1].values()) == {1.0}
    _, found = factors("EfficientNetLite0", 0.75, layers=layers)
    values = list(found.values())
    assert values == sorted(values) and np.all(np.diff(sorted(set(values))) > 0)


def test_a_model_without_a_body():
    with pytest.raises(UserError, match=r"kv\.transfer\.attach"):
        kv.schedules.learning_rate_factors(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]), 0.5)
