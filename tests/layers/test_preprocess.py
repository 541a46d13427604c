import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils

import kvision as kv
from kvision.checks import UserError
from kvision.layers.preprocess import MODES

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype="uint8")


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_equals_keras(mode):
    expected = imagenet_utils.preprocess_input(IMAGES.astype("float32"), mode=mode)
    for images in (IMAGES, IMAGES.astype("float32")):
        np.testing.assert_allclose(kv.layers.Preprocess(mode)(images), expected, atol=2e-5)


def test_lite():
    np.testing.assert_allclose(kv.layers.Preprocess("lite")(IMAGES), (IMAGES - 127.0) / 128, atol=1e-6)


def test_efficientnet_v2():
    np.testing.assert_allclose(kv.layers.Preprocess("tf128")(IMAGES), IMAGES / 128 - 1, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_other_channels(mode):
    layer = kv.layers.Preprocess(mode)
    rgb = np.asarray(layer(IMAGES))
    gray = np.asarray(layer(IMAGES[..., :1]))
    np.testing.assert_array_equal(gray, layer(IMAGES[..., :1].repeat(3, axis=-1)))
    assert layer.compute_output_shape((None, 5, 7, 1)) == (None, 5, 7, 3)
    more = np.asarray(layer(np.concatenate([IMAGES, IMAGES[..., :2]], axis=-1)))
    np.testing.assert_array_equal(more[..., :3], rgb)
    np.testing.assert_allclose(more[..., 3], gray.mean(axis=-1), atol=1e-3)  # the mean of the three statistics
    two = np.asarray(layer(IMAGES[..., :2]))
    assert two.shape == more[..., 3:].shape == layer.compute_output_shape((2, 5, 7, 2))


def test_config_round_trip_and_unknown_mode():
    layer = kv.layers.Preprocess("caffe", name="pixels")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (copy.mode, copy.name) == ("caffe", "pixels")
    with pytest.raises(UserError, match="Did you mean 'torch'"):
        kv.layers.Preprocess("Torch")
