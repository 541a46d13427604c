import sys

import forks
import keras
import numpy as np
import pytest
from contracts import run, same_in_tflite
from graphs import without_weights

import kvision as kv
from kvision.backbones import weights as files
from kvision.backbones.zoo import ZOO
from kvision.checks import UserError
from kvision.training.unsafe_gradients import unsafe_convolutions

# in CI: every kind of preprocessing and of naming; test_pyramid and test_stages build others
FAMILIES = (
    *("AlexNet", "ConvNeXtTiny", "EfficientNetB0", "EfficientNetLite0", "MobileNetV2", "MobileNetV3Small"),
    *("ResNet20", "ResNet50"),
)
# in CI: with and without squeeze-and-excitation, and what has no BatchNormalization
FITTED, EXPORTED = ("MobileNetV3Small", "ResNet20"), ("MobileNetV3Small",)


def members(quick: tuple[str, ...]) -> list:
    """The whole zoo, those that are not `quick` with the mark slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in ZOO]


LABELS = np.arange(2)


@pytest.fixture(scope="module", params=members(FAMILIES))
def built(request):
    """-> the name, a model of it with random weights everywhere, two images, their features."""
    name = request.param
    keras.utils.set_random_seed(0)
    size = max(64, ZOO[name].smallest)
    model = kv.backbones.create(name, image_size=size, pooling="avg")
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype="uint8")
    images[1] //= 4  # darker: to a random network one noise looks like the other
    _shake(model)
    yield name, model, images, run(model, images)
    keras.utils.clear_session()


def _shake(model: keras.Model) -> None:
    """Random where the start is constant: a LayerScale of 1e-6, scales and variances of 1 would hide mistakes.

    Zeros stay: with offsets of any size the signal of a random network would vanish beside them. And nothing grows:
    after fifty layers that enlarge a little, a random network enlarges rounding to percents.
    """
    random = np.random.default_rng(1)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        if value.ndim == 1 and value.dtype == np.float32:
            start = 0.1 if value.max() < 1e-5 and value.any() else value
            low, high = (1.0, 1.25) if weight.name == "moving_variance" else (0.8, 1.0)
            weight.assign(start * random.uniform(low, high, value.shape))


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> bool:
    return bool(np.abs(found - expected).max() <= tolerance * np.abs(expected).max())


def test_raw_pixels_in_features_out(built):
    name, model, images, features = built
    assert model.name == name and [tensor.name for tensor in model.inputs] == ["image"]
    assert features.shape == (2, model.output_shape[1]) and np.isfinite(features).all()
    assert all(type(layer) is not keras.layers.BatchNormalization for layer in model._flatten_layers())
    assert close(run(model, images.astype("float32")), features, 1e-5)
    assert not close(features[:1], features[1:], 1e-3), "the features do not depend on the image"


def test_weights_and_preprocessing_are_those_of_keras(built):
    """Keras' graph behind its own `preprocess_input`, and ours on raw pixels: weights copied as a download's."""
    name, model, images, features = built
    if not hasattr(keras.applications, name):
        pytest.skip("not of keras.applications")
    constructor = getattr(keras.applications, name)
    theirs = constructor(weights=None, include_top=False, input_shape=images.shape[1:], pooling="avg")
    pixels = images.astype("float32")
    if name.startswith("EfficientNetB"):  # built for None it only divides by 255: its published statistics are missing
        pixels = 255 * np.asarray(kv.layers.Preprocess("torch")(pixels))
    pixels = sys.modules[constructor.__module__].preprocess_input(pixels.copy())
    _shake(theirs)
    expected = run(theirs, pixels)
    assert not close(features, expected, 1e-3)
    before = model.get_weights()
    files.copy(theirs, model)
    assert close(run(model, images), expected, 1e-5)
    model.set_weights(before)


@pytest.mark.parametrize("built", members(("MobileNetV3Small",)), indirect=True)
def test_gray_equals_gray_in_rgb(built):
    name, model, images, _ = built
    gray = kv.backbones.create(name, image_size=images.shape[1], pooling="avg", channels=1)
    files.copy(model, gray)
    assert gray.input_shape == (None, *images.shape[1:3], 1)
    assert close(run(gray, images[..., :1]), run(model, images[..., :1].repeat(3, axis=-1)))


@pytest.mark.parametrize("built", members(EXPORTED), indirect=True)
def test_tflite_equals_keras(built):
    _, model, *_ = built
    if model.count_params() > 30e6:
        pytest.skip("over 30 million parameters")
    same_in_tflite(model)


@pytest.mark.parametrize("built", members(FITTED), indirect=True)
def test_two_fits_leave_batch_statistics_alone_and_a_plain_call_does_not(built, tmp_path):
    """All of it trains, saved and loaded, then the head alone. The last test of a member: its weights change."""
    _, backbone, images, _ = built
    model, before = kv.transfer.attach(backbone, 2), _statistics(backbone)
    _fit(model, images, "all")
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(reloaded, images), run(model, images))
    _fit(reloaded, images, "top")
    for body in (backbone, reloaded.get_layer("body").backbone):
        assert all(np.array_equal(a, b) for a, b in zip(before, _statistics(body), strict=True))

    image = keras.Input(images.shape[1:], name="image")
    for layer in backbone.layers:
        layer.trainable = True
    plain = keras.Model(image, backbone(image, training=False))  # what many tutorials teach
    plain(images, training=True)  # as `fit` does
    moved = [np.abs(a - b).max() > 0 for a, b in zip(before, _statistics(backbone), strict=True)]
    assert not moved or np.mean(moved) > 0.5, "control"


def _statistics(backbone: keras.Model) -> list[np.ndarray]:
    found = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    values = [value for layer in found for value in (layer.moving_mean, layer.moving_variance)]
    return [np.array(keras.ops.convert_to_numpy(value)) for value in values]  # without it, a view that moves along


def _fit(model: keras.Model, images: np.ndarray, above: str) -> None:
    kv.schedules.freeze(model, above=above, norm="frozen")
    model.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy", run_eagerly=True)
    model.fit(images, LABELS, verbose=0)


LOAD = """
import sys, keras, numpy as np
import kvision
for name in sys.argv[2:]:
    model = kvision.load_model(f"{sys.argv[1]}/{name}.keras")
    np.save(f"{sys.argv[1]}/{name}.npy", model(np.load(f"{sys.argv[1]}/images.npy"), training=False))
"""


@pytest.mark.parametrize(
    "names", [("MobileNetV3Small",), pytest.param(("ConvNeXtTiny", "NASNetMobile"), marks=pytest.mark.slow)]
)
def test_names_that_change_with_the_session_do_not_matter(names, tmp_path):
    """Three families name layers by a counter: their files must load into a later model, and in another process."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype="uint8")
    np.save(tmp_path / "images.npy", images)
    expected = {}
    for name in names:
        model = kv.backbones.create(name, image_size=32, pooling="avg")
        _shake(model)
        expected[name] = run(model, images)
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / "model.weights.h5")
        later = kv.backbones.create(name, image_size=32, pooling="avg", weights=tmp_path / "model.weights.h5")
        assert [layer.name for layer in later.layers] != [layer.name for layer in model.layers]
        np.testing.assert_array_equal(run(later, images), expected[name])
    result = forks.run([sys.executable, "-c", LOAD, tmp_path, *names], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    for name in names:
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected[name], rtol=1e-4, atol=1e-5)


def test_every_constructor_of_keras_is_there():
    constructors = {name for name in dir(keras.applications) if name[0].isupper()}
    assert len(constructors) == 40 and constructors <= set(ZOO)


@pytest.mark.parametrize("name", members(FAMILIES))
def test_sizes_and_pooling_do_not_change_the_weights_shapes(name):
    """A file of one size fits them all; the smallest accepted has a pixel left; a fourth channel, one more plane."""
    with without_weights():
        model = kv.backbones.create(name, pooling="max")
        small = kv.backbones.create(name, image_size=ZOO[name].smallest, channels=4)
    assert unsafe_convolutions(model) == unsafe_convolutions(small) == []
    assert min(small.output_shape[1:]) >= 1 and model.output_shape == (None, small.output_shape[3])
    first, *rest = [tuple(weight.shape) for weight in small.weights]
    folded = 4 if name == "CSPDarkNetTiny" else 1  # its stem makes channels of squares of 2 x 2 pixels
    assert first[2] == 4 * folded
    assert [tuple(weight.shape) for weight in model.weights] == [(*first[:2], 3 * folded, first[3]), *rest]
    with pytest.raises(UserError, match=f"at least {ZOO[name].smallest} .pixels. for {name}"):
        kv.backbones.create(name, image_size=ZOO[name].smallest - 1)
