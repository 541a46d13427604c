import keras
import numpy as np
import pytest
from contracts import same_in_tflite

import kvision as kv
from kvision import luma_chroma, sepia
from kvision.checks import UserError


def test_gray_pictures_pass_unchanged_and_color_gives_the_luma():
    random = np.random.default_rng(0)
    gray = np.repeat(random.integers(0, 256, (1, 13, 17, 1)), 3, axis=-1).astype("uint8")
    color = random.integers(0, 256, (1, 13, 17, 3)).astype("uint8")
    layer = kv.layers.Gray("bt709")
    np.testing.assert_array_equal(np.asarray(layer(gray))[..., 0], gray[..., 0])
    expected = color @ np.array(luma_chroma.COEFFICIENTS["bt709"])
    np.testing.assert_allclose(np.asarray(layer(color))[..., 0], expected, atol=1e-3)
    toned = sepia.sepia(gray)
    assert np.abs(np.asarray(layer(toned)) - gray[..., :1]).max() < 1


def test_export_and_reload(tmp_path):
    image = keras.Input((16, 24, 3), name="image")
    model = keras.Model(image, kv.layers.Gray("bt2020")(image))
    same_in_tflite(model)
    model.save(tmp_path / "model.keras")
    assert kv.load_model(tmp_path / "model.keras").get_layer("gray").standard == "bt2020"
    with pytest.raises(UserError, match="`standard`"):
        kv.layers.Gray("rec709")
