import keras
import numpy as np
import pytest

import kvision as kv
from kvision import luma_chroma
from kvision.checks import UserError


@pytest.mark.parametrize("standard", ["bt601", "bt709", "bt2020"])
def test_gray_and_recolor_give_the_picture_back(standard):
    image = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3)).astype("float32")
    chroma = luma_chroma.luma_chroma(image, standard)[..., 1:] / 127.5
    luma = kv.layers.Gray(standard)(image)
    np.testing.assert_allclose(np.asarray(kv.layers.Recolor(standard)(luma, chroma)), image, atol=1e-3)
    other = "bt709" if standard == "bt601" else "bt601"
    assert np.abs(np.asarray(kv.layers.Recolor(other)(luma, chroma)) - image).max() > 5, "control"


def test_the_luma_is_kept_before_colors_are_clipped():
    random = np.random.default_rng(0)
    luma = random.integers(0, 256, (1, 50, 50, 1)).astype("float32")
    chroma = random.uniform(-0.4, 0.4, (1, 50, 50, 2)).astype("float32")
    raw = np.asarray(kv.layers.Recolor(clip=False)(luma, chroma))
    np.testing.assert_allclose(luma_chroma.luma(raw), luma, atol=1e-3)
    clipped = np.asarray(kv.layers.Recolor()(luma, chroma))
    np.testing.assert_array_equal(clipped, raw.clip(0, 255))
    assert np.abs(luma_chroma.luma(clipped) - luma).max() > 1, "control: clipping changes the luma"
    np.testing.assert_array_equal(np.asarray(kv.layers.Recolor()(luma, 0 * chroma)), np.repeat(luma, 3, -1))


def test_reload(tmp_path):
    luma, chroma = keras.Input((None, None, 1)), keras.Input((None, None, 2))
    model = keras.Model([luma, chroma], kv.layers.Recolor("bt709", clip=False)(luma, chroma))
    model.save(tmp_path / "model.keras")
    layer = kv.load_model(tmp_path / "model.keras").get_layer("colored")
    assert (layer.standard, layer.clip) == ("bt709", False) and model.output_shape == (None, None, None, 3)
    with pytest.raises(UserError, match="`standard`"):
        kv.layers.Recolor("rec709")
