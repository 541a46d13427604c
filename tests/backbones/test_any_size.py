import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError

FAMILIES = ("EfficientNetLite0", "ResNet50", "MobileNetV2", "MobileNetV3Small", "DenseNet121", "ConvNeXtTiny")


def numbers(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_weights_for_any_size(name):
    backbone = trained_like(kv.backbones.create(name, image_size=64))
    opened = kv.backbones.any_size(backbone)
    assert opened.input_shape == (None, None, None, 3) and opened.name == name
    assert [id(v) for v in opened.weights] == [id(v) for v in backbone.weights]
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    expected = numbers(backbone(images, training=False))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(numbers(opened(images, training=False)), expected, atol=1e-4 * np.abs(expected).max())
    larger = numbers(opened(np.tile(images, (1, 2, 3, 1))[:, :97], training=False))
    assert larger.shape[1] > expected.shape[1] and larger.shape[2] > larger.shape[1]
    with pytest.raises(ValueError, match="expected shape"):  # the control: it was of one size
        backbone(np.tile(images, (1, 2, 3, 1)), training=False)


def test_padding_is_that_of_a_model_built_without_a_size():
    """Keras' EfficientNet decides it when it is built."""
    options = {"weights": None, "include_top": False}
    built = trained_like(keras.applications.EfficientNetB0(**options, input_shape=(None, None, 3)))
    opened = kv.backbones.any_size(keras.applications.EfficientNetB0(**options, input_shape=(64, 64, 3)))
    opened.set_weights(built.get_weights())
    image = np.random.default_rng(0).uniform(0, 255, (1, 97, 65, 3)).astype("float32")
    expected = numbers(built(image, training=False))
    np.testing.assert_allclose(numbers(opened(image, training=False)), expected, atol=1e-4 * np.abs(expected).max())


def test_a_model_of_any_size_is_itself():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)])
    assert kv.backbones.any_size(model) is model
    opened = kv.backbones.any_size(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]))
    assert opened.output_shape == (None, None, None, 4)


def test_what_takes_one_size_is_said():
    layers = [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))]
    with pytest.raises(UserError, match="`backbone` takes images of one size"):
        kv.backbones.any_size(keras.Sequential([keras.Input((8, 8, 3)), *layers]))
