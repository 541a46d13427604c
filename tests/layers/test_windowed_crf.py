from typing import Any

import crf_by_hand as by_hand
import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.export import litert, quantize

CRFParameters = kv.segmentation.CRFParameters
SMALL = CRFParameters(4, 0.2, 20, 2, 0.06, iterations=5)


def run(layer, probabilities, image) -> np.ndarray:
    found: Any = keras.ops.convert_to_numpy(layer(probabilities[None], image[None].astype("float32")))
    return found[0]


def test_a_window_over_the_whole_image_is_the_exact_form():
    image, _, probabilities = by_hand.photograph(9, 11, 4, seed=1)
    layer = kv.layers.WindowedCRF(SMALL, size=23, dilation=1)
    expected = kv.segmentation.dense_crf(probabilities, image, SMALL, form="exact")
    np.testing.assert_allclose(run(layer, probabilities, image), expected, atol=1e-5)
    narrow = run(kv.layers.WindowedCRF(SMALL, size=3, dilation=1), probabilities, image)
    assert np.abs(narrow - expected).max() > 0.02, "the control: a small window"


def test_a_small_window_by_loops():
    image, _, probabilities = by_hand.photograph(7, 8, 3, seed=2)
    parameters = CRFParameters(3, 0.3, 25, 0, 0.1, iterations=2)
    layer = kv.layers.WindowedCRF(parameters, size=3, dilation=2)
    far = parameters.pixels(7, 8)[0]
    kernel = np.zeros((56, 56))
    for i in range(56):
        for j in range(56):
            (y, x), (v, u) = divmod(i, 8), divmod(j, 8)
            if abs(y - v) in (0, 2) and abs(x - u) in (0, 2):
                color = ((image[y, x].astype(float) - image[v, u]) ** 2).sum() / 25**2
                kernel[i, j] = np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * far**2) - color / 2)
    sums = kernel.sum(axis=1)
    kernel = 3 * kernel / np.sqrt(np.outer(sums, sums))
    np.fill_diagonal(kernel, 0)
    expected = by_hand.mean_field(probabilities, kernel, 2)
    np.testing.assert_allclose(run(layer, probabilities, image), expected, atol=1e-5)


def test_no_weight_returns_the_probabilities_and_logits_are_their_logarithm():
    image, _, probabilities = by_hand.photograph(12, 14, 5)
    nothing = CRFParameters(bilateral_weight=0, spatial_weight=0)
    np.testing.assert_allclose(run(kv.layers.WindowedCRF(nothing), probabilities, image), probabilities, atol=1e-6)
    logits = np.log(probabilities) + 3
    found = run(kv.layers.WindowedCRF(SMALL, from_logits=True), logits, image)
    np.testing.assert_allclose(found, run(kv.layers.WindowedCRF(SMALL), probabilities, image), atol=1e-5)


def test_noise_falls_and_speckle_does_not_rise():
    image, labels, probabilities = by_hand.two_regions(40, 60, noise=2)
    found = run(kv.layers.WindowedCRF(), probabilities, image).argmax(axis=2)
    before = probabilities.argmax(axis=2)
    assert np.mean(found != labels) < 0.2 * np.mean(before != labels)
    assert kv.metrics.isolated_pixels(found) < kv.metrics.isolated_pixels(before)
    image, labels, _ = by_hand.photograph(40, 50, 6)
    noisy = (image + np.random.default_rng(0).normal(0, 14, image.shape)).clip(0, 255)
    smooth = (0.6 * np.eye(6)[labels] + 0.4 / 6).astype("float32")
    found = run(kv.layers.WindowedCRF(), smooth, noisy).argmax(axis=2)
    assert kv.metrics.isolated_pixels(found) <= kv.metrics.isolated_pixels(labels)


def test_all_parameters_learn():
    """Training on one image lowers the loss, and every weight gets a gradient."""
    image, labels, probabilities = by_hand.two_regions(16, 24, noise=2)
    layer = kv.layers.WindowedCRF(CRFParameters(1, 0.1, 20, 0.5, 0.02, 2), size=3, dilation=1)
    given, picture = keras.Input((None, None, 2)), keras.Input((None, None, 3), name="image")
    model = keras.Model([given, picture], layer(given, picture))
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    before = [float(keras.ops.convert_to_numpy(weight)) for weight in layer.trainable_weights]
    data = [probabilities[None], image[None].astype("float32")]
    losses = [model.train_on_batch(data, labels[None]) for _ in range(8)]
    after = [float(keras.ops.convert_to_numpy(weight)) for weight in layer.trainable_weights]
    assert losses[-1] < losses[0] and len(before) == 5
    assert all(abs(a - b) > 1e-4 for a, b in zip(after, before, strict=True)), (before, after)


def test_it_is_the_same_after_saving_and_in_tflite(tmp_path):
    import tensorflow as tf

    picture = keras.Input((None, None, 3), name="image")
    network = keras.layers.Conv2D(3, 3, padding="same", activation="softmax")(keras.layers.Rescaling(1 / 255)(picture))
    layer = kv.layers.WindowedCRF(CRFParameters(4, 0.2, 20, 2, 0.06, iterations=2), size=3, dilation=2)
    model = keras.Model(picture, layer(network, picture))
    assert model.output_shape == (None, None, None, 3)
    model.save(tmp_path / "model.keras")
    loaded = kv.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].parameters == layer.parameters
    call = tf.function(lambda image: model(image), [tf.TensorSpec((None, None, None, 3), tf.float32, name="image")])
    lite = litert.interpreter(quantize.convert(call, "float32"), threads=1)
    for size in ((17, 23), (32, 9)):
        image = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype("float32")
        expected = np.asarray(model(image))
        np.testing.assert_allclose(np.asarray(loaded(image)), expected, atol=1e-6)
        lite.resize_tensor_input(lite.get_input_details()[0]["index"], image.shape)
        lite.allocate_tensors()
        lite.set_tensor(lite.get_input_details()[0]["index"], image)
        lite.invoke()
        np.testing.assert_allclose(lite.get_tensor(lite.get_output_details()[0]["index"]), expected, atol=1e-4)


def test_wrong_calls_are_told():
    for options, text in [({"size": 4}, "`size`"), ({"size": 1}, "`size`"), ({"dilation": 0}, "`dilation`")]:
        with pytest.raises(UserError, match=text):
            kv.layers.WindowedCRF(**options)
    with pytest.raises(UserError, match="`bilateral_color`"):
        kv.layers.WindowedCRF({"bilateral_color": 0})
