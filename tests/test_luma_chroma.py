"""Luma and chroma against tables of the standards, OpenCV and TensorFlow."""

import keras
import numpy as np
import pytest

from kvision import luma_chroma
from kvision.checks import UserError
from kvision.ops import color_spaces

STANDARDS = tuple(luma_chroma.COEFFICIENTS)
# Cb and Cr of the primaries red, green and blue: half of the coefficients, by hand from the definition
BY_HAND = {
    "bt601": [(0.299, -0.168736, 0.5), (0.587, -0.331264, -0.418688), (0.114, 0.5, -0.081312)],
    "bt709": [(0.2126, -0.114572, 0.5), (0.7152, -0.385428, -0.454153), (0.0722, 0.5, -0.045847)],
    "bt2020": [(0.2627, -0.139630, 0.5), (0.678, -0.360370, -0.459786), (0.0593, 0.5, -0.040214)],
}


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (*shape, 3))


@pytest.mark.parametrize("standard", STANDARDS)
def test_primaries_and_the_way_back(standard):
    np.testing.assert_allclose(luma_chroma.luma_chroma(np.eye(3), standard), BY_HAND[standard], atol=2e-6)
    pixels = image(50)
    found = luma_chroma.luma_chroma(pixels, standard)
    np.testing.assert_allclose(luma_chroma.rgb(found[:, :1], found[:, 1:], standard), pixels, atol=1e-6)
    assert np.abs(found[:, 1:]).max() <= 0.5
    given = keras.ops.convert_to_tensor(pixels, "float32")
    tensor = keras.ops.convert_to_numpy(luma_chroma.luma_chroma(given, standard))
    np.testing.assert_allclose(tensor, found, atol=1e-6)


@pytest.mark.parametrize("standard", STANDARDS)
def test_gray_keeps_its_exact_value_in_both_directions(standard):
    gray = np.repeat(np.random.default_rng(0).uniform(0, 255, (1000, 1)), 3, axis=1).astype("float32")
    for given in (gray, keras.ops.convert_to_tensor(gray)):
        y = luma_chroma.luma(given, standard)
        np.testing.assert_array_equal(np.asarray(y)[:, 0], gray[:, 0])
        chroma = luma_chroma.luma_chroma(given, standard)[:, 1:]
        assert not np.asarray(chroma).any()
        np.testing.assert_array_equal(np.asarray(luma_chroma.rgb(y, chroma, standard)), gray)
    weights = np.array(luma_chroma.COEFFICIENTS[standard], "float32")
    assert (gray @ weights != gray[:, 0]).any(), "control: the usual sum rounds"


def test_standards_differ():
    found = luma_chroma.luma_chroma(image(50), "bt601")
    mixed = luma_chroma.rgb(found[:, :1], found[:, 1:], "bt709")
    assert np.abs(mixed - image(50)).max() > 0.05


def test_opencv_and_tensorflow_agree():
    import cv2
    import tensorflow as tf

    pixels = image(8, 8).astype("float32")
    found = luma_chroma.luma_chroma(pixels)
    swapped = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)  # with the offset .5
    np.testing.assert_allclose(found, swapped[..., [0, 2, 1]] - [0, 0.5, 0.5], atol=1e-3)  # it rounds its coefficients
    yuv = tf.image.rgb_to_yuv(pixels).numpy()
    np.testing.assert_allclose(luma_chroma.analog(found[..., 1:]), yuv[..., 1:], atol=1e-5)
    np.testing.assert_allclose(luma_chroma.digital(yuv[..., 1:]), found[..., 1:], atol=1e-5)
    assert np.abs(luma_chroma.analog(found[..., 1:]) - luma_chroma.luma_chroma(pixels, "bt709")[..., 1:]).max() > 0.02


@pytest.mark.parametrize("standard", STANDARDS)
def test_the_gamut_is_what_some_luma_allows(standard):
    chroma = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 2))
    lumas = np.linspace(0, 1, 401)[:, None, None] * np.ones((1, 300, 1))
    colors = luma_chroma.rgb(lumas, np.broadcast_to(chroma, (401, 300, 2)), standard)
    slow = ((colors >= -2e-3) & (colors <= 1 + 2e-3)).all(-1).any(0)
    found = luma_chroma.in_gamut(chroma, standard)
    assert 0.3 < found.mean() < 0.9
    assert (found == slow).mean() > 0.99 and not (found & ~slow).any()


def test_clipped_pixels_are_counted():
    pixels = np.zeros((1, 4, 3))
    pixels[0, 0, 1], pixels[0, 1, 2], pixels[0, 2, 0] = 256, -1, 255.4
    assert luma_chroma.clipped_share(pixels) == 0.5


def test_wrong_standards_are_named():
    with pytest.raises(UserError, match=r"`standard`.*bt601"):
        luma_chroma.luma(np.zeros(3), "bt602")
    assert color_spaces.luma is luma_chroma.luma
