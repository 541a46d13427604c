import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


@pytest.mark.parametrize(
    "model",
    [
        lambda: kv.backbones.googlenet(classes=3, image_size=65),
        lambda: kv.backbones.inception_v3(classes=3, image_size=107),
        lambda: kv.backbones.googlenet(classes=3, image_size=65, auxiliary=False),
    ],
)
def test_main_alone_with_the_same_weights(model):
    model = model()
    served = kv.backbones.inference(model)
    images = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), dtype="uint8")
    outputs = model(images, training=False)
    main = outputs["main"] if isinstance(outputs, dict) else outputs
    np.testing.assert_array_equal(served(images, training=False), main)
    assert served.output_shape == (None, 3) and served.input.name == "image"
    assert not any(layer.name.startswith("aux") for layer in served.layers)
    assert {id(weight) for weight in served.weights} <= {id(weight) for weight in model.weights}


def test_a_model_without_main():
    image = keras.Input((8, 8, 3), name="image")
    with pytest.raises(UserError, match=r"no output `main`.*inception_v3"):
        kv.backbones.inference(keras.Model(image, keras.layers.Flatten()(image), name="mine"))
