import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.selfsup.tokens import Masked, grid, pooled

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)).astype("float32")


def vit() -> keras.Model:
    return kv.backbones.vit(depth=2, width=8, heads=2, patch_size=4, image_size=12)


def test_the_grid_of_a_vit():
    assert grid(vit()) == (4, 3, 3)
    assert grid(kv.backbones.create("ViTTiny16", image_size=64)) == (16, 4, 4)
    assert grid(kv.backbones.create("ViTTiny16", image_size=64, pooling="avg")) == (16, 4, 4)


def test_the_patches_are_those_of_the_vit_before_positions():
    model = vit()
    model.get_layer("patches").bias.assign(np.arange(8.0))
    kernel, bias = model.get_layer("patches").get_weights()
    patches = Masked(model, None, seed=None, name="masked").patches
    found = np.array(patches(IMAGES))
    for row in range(3):
        for column in range(3):
            part = IMAGES[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] / 127.5 - 1
            np.testing.assert_allclose(found[:, row, column], np.tensordot(part, kernel, 3) + bias, atol=1e-4)
    assert {id(v) for v in patches.variables} == {id(v) for v in model.get_layer("patches").variables}


def test_the_mean_of_the_tokens_once():
    model = vit()
    encoder = pooled(model)
    np.testing.assert_allclose(encoder(IMAGES), np.mean(model(IMAGES), axis=(1, 2)), atol=1e-6)
    assert encoder.output_shape == (None, 8) and encoder.inputs[0].name == "image"
    assert pooled(encoder) is encoder, "a model that pools already stays"


def test_another_model_is_refused():
    image = keras.Input((8, 8, 3), name="image")
    other = keras.Model(image, keras.layers.Conv2D(4, 4, 4, name="patches")(image), name="other")
    with pytest.raises(UserError, match=r"`vit` .*a model of kv.backbones.vit.*'other'.*positions"):
        grid(other)
    for method in (kv.selfsup.MAE, kv.selfsup.SimMIM):
        with pytest.raises(UserError, match="`vit`"):
            method(other)
