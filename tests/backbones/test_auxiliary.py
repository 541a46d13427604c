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


def test_all_outputs_learn_the_same_labels_with_their_weights():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    outputs = {name: keras.layers.Dense(3, "softmax", name=name)(x) for name in ("main", "aux1", "aux2")}
    model, shares = keras.Model(image, outputs), {"main": 1.0, "aux1": 0.3, "aux2": 0.3}
    network = kv.backbones.SharedLabels(model, shares)
    network.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (4, 8, 8, 3)).astype("float32"), np.array([0, 1, 2, 1])
    found = kv.training.evaluate(network, (images, labels), batch_size=4, verbose=0)
    outputs = {name: np.asarray(value) for name, value in model(images, training=False).items()}
    expected = sum(-shares[name] * np.log(rows[np.arange(4), labels]).mean() for name, rows in outputs.items())
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-4)
    right = (outputs["main"].argmax(axis=1) == labels).mean()
    assert right in found.values(), "the accuracy is that of `main`"
    served = network.served
    np.testing.assert_array_equal(np.asarray(served(images, training=False)), outputs["main"])
    before = [np.asarray(weight) for weight in model.get_layer("aux1").get_weights()]
    kv.training.fit(network, (images, labels), epochs=1, batch_size=4, verbose=0)
    assert any((a != b).any() for a, b in zip(before, model.get_layer("aux1").get_weights(), strict=True))
