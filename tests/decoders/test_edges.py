import dense_networks
import keras
import numpy as np
import pytest
from dense_networks import noise, numbers
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError
from kvision.decoders import unet, with_edges


def tiny() -> keras.Model:
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, -2)(image)
    for width in (4, 6, 8):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, x, name="tiny")


@pytest.mark.parametrize("widths", [(8, 8, 4), (8, 4)], ids=["in the size of the image", "at the first stride"])
def test_one_more_logit_at_any_size(widths):
    model = trained_like(with_edges(unet(tiny(), 5, widths=widths), width=4))
    dense_networks.any_size(model, 6)
    assert min(dense_networks.reaches_the_output(model)) > 1e-6
    assert [tensor.name for tensor in model.inputs] == ["image"]


def test_both_predictors_use_the_last_map_and_the_edges_the_image():
    model = trained_like(with_edges(unet(tiny(), 3, widths=(8, 4)), width=4))
    last = keras.Model(model.input, model.get_layer("logits").input)
    assert last(noise(32, 48)).shape == (1, 16, 24, 4), "the map has half of the size"
    image = noise(32, 48)
    before = numbers(model(image, training=False))
    kernel, bias = model.get_layer("edge_logit").get_weights()
    model.get_layer("edge_logit").set_weights([kernel, bias + 1])
    after = numbers(model(image, training=False))
    np.testing.assert_allclose(after[..., 3], before[..., 3] + 1, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(after[..., :3], before[..., :3])


def test_it_is_the_same_after_saving_and_the_body_can_be_frozen(tmp_path):
    model = trained_like(with_edges(unet(tiny(), 3, widths=(8, 8, 4))))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(noise(33, 47)), model.predict_on_batch(noise(33, 47)))
    new = [v for layer in model.layers if layer.name != "body" for v in layer.trainable_variables]
    assert {id(v) for v in kv.schedules.freeze(model, above="top")} == {id(v) for v in new}


def test_refusals():
    model = unet(tiny(), 3, widths=(8, 4))
    with pytest.raises(UserError, match=r"`model`.*unet"):
        with_edges(tiny())
    with pytest.raises(UserError, match=r"`model`.*unet"):
        with_edges(with_edges(model))
    with pytest.raises(UserError, match="`width`"):
        with_edges(model, width=0)
