import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils

import kvision as kv
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype="uint8")


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_equals_keras(mode):
    expected = imagenet_utils.preprocess_input(IMAGES.astype("float32"), mode=mode)
    for images in (IMAGES, IMAGES.astype("float32")):
        np.testing.assert_allclose(kv.layers.Preprocess(mode)(images), expected, atol=2e-5)


def test_lite():
    np.testing.assert_allclose(kv.layers.Preprocess("lite")(IMAGES), (IMAGES - 127.0) / 128, atol=1e-6)


def test_config_round_trip_and_unknown_mode():
    layer = kv.layers.Preprocess("caffe", name="pixels")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (copy.mode, copy.name) == ("caffe", "pixels")
    with pytest.raises(UserError, match="Did you mean 'torch'"):
        kv.layers.Preprocess("Torch")
