import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from contracts import backbone

import kvision as kv
from kvision.checks import UserError

APPLICATIONS = {
    "MobileNetV2": keras.applications.mobilenet_v2,
    "ResNet50": keras.applications.resnet50,
}


CIFAR = ("Plain20", "Plain56", "ResNet20", "ResNet56", "ResNet110")
STRIDES = {"AlexNet": (4, 8, 16), **dict.fromkeys(CIFAR, (1, 2, 4))}  # elsewhere 2, 4, 8, 16, 32


@pytest.mark.parametrize("name", kv.backbones.available())
def test_contract(name, tmp_path):
    if name in CIFAR:
        backbone(name, 32, tmp_path, strides=STRIDES[name])
    elif name in STRIDES:
        backbone(name, 96, tmp_path, strides=STRIDES[name])
    else:
        backbone(name, 64, tmp_path)


@pytest.mark.parametrize("name", kv.backbones.available())
def test_the_smallest_size_has_a_pixel_left_and_one_less_is_refused(name):
    size = kv.backbones.smallest_size(name)
    assert min(kv.backbones.create(name, image_size=size).output_shape[1:]) >= 1
    with pytest.raises(UserError, match=f"at least {size} .pixels. for {name}"):
        kv.backbones.create(name, image_size=size - 1)


@pytest.mark.parametrize("name", ["AlexNet", "GoogLeNet", *CIFAR])
def test_without_imagenet_weights(name):
    text = rf"`weights` 'imagenet' of {name} are not at hand: .*with ImageNet weights: .*EfficientNetLite0"
    with pytest.raises(UserError, match=text):
        kv.backbones.create(name, weights="imagenet")


@pytest.mark.parametrize(("name", "ten"), [("AlexNet", 10), ("GoogLeNet", 10), ("ResNet20", 0.174), ("Plain20", 0.174)])
def test_imagenets_mean_color_is_zero_inside(name, ten):
    """AlexNet and GoogLeNet saw centered, unscaled pixels; ten levels more are ten."""
    model = kv.backbones.create(name, image_size=67)
    pixels = keras.Model(model.input, model.get_layer("conv1").input)
    mean = np.full((1, 67, 67, 3), (123.68, 116.779, 103.939), "float32")
    np.testing.assert_allclose(pixels(mean), 0 * mean, atol=3e-2)
    np.testing.assert_allclose(pixels(mean + 10), 0 * mean + ten, rtol=0.1)  # two means in use, .4 of a level apart


JAX = """
import sys, numpy as np, keras
import kvision as kv
assert keras.backend.backend() == "jax"
for name in sys.argv[2:]:
    model = kv.backbones.create(name, image_size=67, pooling="avg", weights=f"{sys.argv[1]}/{name}.weights.h5")
    images = np.load(f"{sys.argv[1]}/images.npy")
    np.save(f"{sys.argv[1]}/{name}.npy", model.predict_on_batch(images))
"""


def test_jax_gives_the_numbers_of_tensorflow(tmp_path):
    names, images = ("AlexNet", "ResNet20"), np.random.default_rng(4).integers(0, 256, (2, 67, 67, 3), dtype="uint8")
    np.save(tmp_path / "images.npy", images)
    models = {name: kv.backbones.create(name, image_size=67, pooling="avg") for name in names}
    for name, model in models.items():
        model.save_weights(tmp_path / f"{name}.weights.h5")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", JAX, tmp_path, *names], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    for name, model in models.items():
        ours = model.predict_on_batch(images)
        assert np.abs(np.load(tmp_path / f"{name}.npy") - ours).max() < 1e-4 * np.abs(ours).max(), name


@pytest.mark.parametrize("name", APPLICATIONS)
def test_preprocessing_inside_equals_keras_outside(name):
    """Same weights: our graph on raw pixels, Keras' graph behind its own preprocess_input."""
    ours = kv.backbones.create(name, image_size=64)
    theirs = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(64, 64, 3))
    theirs.set_weights(ours.get_weights())
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    expected = theirs.predict_on_batch(APPLICATIONS[name].preprocess_input(images.copy()))
    np.testing.assert_allclose(ours.predict_on_batch(images), expected, atol=1e-4 * np.abs(expected).max())
    raw = theirs.predict_on_batch(images)
    assert np.abs(raw - expected).max() > 1e-2 * np.abs(expected).max(), "preprocessing would make no difference"


def test_efficientnet_b0_normalizes_as_the_published_weights_expect():
    """Keras gives "imagenet" another graph than None: mean and standard deviation must come out the same in ours."""
    model = kv.backbones.create("EfficientNetB0", image_size=32)
    stem = next(layer for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D))
    normalized = keras.Model(model.input, stem.input)
    images = np.random.default_rng(2).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    expected = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(normalized.predict_on_batch(images), expected, atol=1e-4)


def test_pooling_and_size():
    assert kv.backbones.create("EfficientNetLite0").output_shape == (None, 7, 7, 1280)
    average = kv.backbones.create("EfficientNetLite0", image_size=48, pooling="avg")
    assert average.input_shape == (None, 48, 48, 3) and average.output_shape == (None, 1280)
    largest = kv.backbones.create("EfficientNetLite0", image_size=48, pooling="max")
    largest.set_weights(average.get_weights())
    images = np.random.default_rng(3).integers(0, 256, (1, 48, 48, 3), dtype="uint8")
    assert (largest.predict_on_batch(images) >= average.predict_on_batch(images)).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "resnet50"}, "Did you mean 'ResNet50'"),
        ({"name": "ResNet50", "image_size": 31}, "`image_size`"),
        ({"name": "ResNet50", "image_size": 64.0}, "`image_size`"),
        ({"name": "ResNet50", "pooling": "mean"}, "`pooling`"),
        ({"name": "EfficientNetLite0", "weights": "nowhere.weights.h5"}, "names no file"),
    ],
)
def test_errors_name_the_argument(arguments, text):
    with pytest.raises(UserError, match=text):
        kv.backbones.create(**arguments)


def test_stages_of_a_foreign_model():
    image = keras.Input((32, 32, 3), name="image")
    with pytest.raises(UserError, match="no named stages"):
        kv.backbones.stages(keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="mine"))


@pytest.mark.parametrize("name", [n for n in kv.backbones.available() if hasattr(keras.applications, n)])
def test_downloaded_weights_find_their_layers(name):
    """`imagenet` copies by layer name: every layer with weights of Keras' model stands in ours, of the same shapes."""
    ours = kv.backbones.create(name, image_size=64)
    source = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(96, 96, 3))
    assigned = set()
    for layer in source.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            shapes = [tuple(weight.shape) for weight in layer.weights]
            assert [tuple(weight.shape) for weight in ours.get_layer(layer.name).weights] == shapes
            assigned.add(layer.name)
    assert assigned == {layer.name for layer in ours.layers if layer.weights}
