import keras
import pytest

import kvision as kv

pytestmark = pytest.mark.usefixtures("in_the_zoo")


def test_a_network_counted_by_hand():
    image = keras.Input((8, 8, 3), name="image")
    backbone = keras.Model(image, keras.layers.Conv2D(5, 3, strides=2, padding="same")(image))
    x = kv.layers.Body(backbone)(image)
    x = keras.layers.Conv2D(7, 1)(x)
    model = keras.Model(image, keras.layers.ReLU()(x))
    assert kv.colorization.activation_bytes(model, 8, 8) == 4 * 2 * (4 * 4 * 7)


def test_adding_needs_less_memory_than_concatenating():
    found = {}
    for decoder in ("unet", "residual"):
        model = kv.colorization.network(kv.backbones.create("Small"), decoder=decoder, widths=(8, 8, 8, 8))
        found[decoder] = kv.colorization.activation_bytes(model, 160, 224)
    assert found["residual"] < found["unet"]
