import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError

FAMILIES = ("EfficientNetLite0", "MobileNetV3Small")
FAMILIES += tuple(pytest.param(n, marks=pytest.mark.slow) for n in ("ConvNeXtTiny", "DenseNet121", "ResNet50"))


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
    with pytest.raises(UserError, match="`backbone` takes images of one size"):
        kv.backbones.at_size(keras.Sequential([keras.Input((8, 8, 3)), *layers]), 16)


def test_what_takes_even_sizes_alone_is_said():
    """Pixels folded into channels, as CSPDarkNet's stem does: at an odd size the four parts differ."""
    image = keras.Input((32, 32, 3))
    parts = [image[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    model = keras.Model(image, keras.layers.Conv2D(4, 3, padding="same")(keras.layers.Concatenate()(parts)))
    with pytest.raises(UserError, match=r"takes images of one size: Concatenate.call.*odd sizes too"):
        kv.backbones.any_size(model)
    assert kv.backbones.at_size(model, 48).output_shape == (None, 24, 24, 4), "the control"


def nested() -> keras.Model:
    image = keras.Input((32, 32, 3), name="image")
    return keras.Model(
        image, keras.layers.Dense(5)(kv.backbones.resnet18(width=4, image_size=32, pooling="avg")(image))
    )


def listed() -> keras.Model:
    body = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
    return keras.Model(body.inputs, keras.layers.Dense(5)(body.output))


def transformer() -> keras.Model:
    return kv.backbones.vit(depth=1, width=16, heads=2, patch_size=4, image_size=32)


@pytest.mark.parametrize("make", [nested, listed, transformer])
def test_the_same_weights_at_another_size(make):
    model = make()
    small = kv.backbones.at_size(model, 16)
    assert small.input_shape == (None, 16, 16, 3)
    assert [id(v) for v in small.weights] == [id(v) for v in model.weights]
    image = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype("float32")
    before = numbers(small(image, training=False))
    for variable in model.trainable_variables:
        variable.assign(variable + 0.1)
    assert np.abs(numbers(small(image, training=False)) - before).max() > 1e-3
    with pytest.raises(ValueError, match="expected shape"):  # the control: it is of one size itself
        model(image, training=False)
