import numpy as np
from sklearn.datasets import load_sample_images

from kvision import luma_chroma, sepia
from kvision.pixels import pillow
from kvision.pixels.rejoined import rejoined


def test_colors_of_a_smaller_picture_on_the_brightness_of_the_original():
    image = load_sample_images().images[0][:300, :400]
    gray = np.repeat(luma_chroma.luma(image).round(), 3, axis=2).astype("uint8")
    small = pillow.fit(image, 100).astype("float32")
    found = rejoined(small, gray)
    assert found.shape == image.shape and found.dtype == np.uint8
    off = np.abs(luma_chroma.luma(found) - gray[..., :1])
    assert np.percentile(off, 95) <= 1, "only clipped pixels have another luma"
    wrong = np.abs(luma_chroma.luma_chroma(found)[..., 1:] - luma_chroma.luma_chroma(image)[..., 1:]).mean()
    without = np.abs(luma_chroma.luma_chroma(image)[..., 1:]).mean()
    assert wrong < without / 3


def test_the_same_size_is_only_rounded():
    colored = np.random.default_rng(0).uniform(-3, 258, (5, 6, 3))
    expected = np.clip(np.round(colored), 0, 255)
    np.testing.assert_array_equal(rejoined(colored, np.zeros((5, 6, 3), "uint8")), expected)


def test_a_sepia_picture_loses_its_tone():
    gray = np.random.default_rng(0).integers(0, 180, (32, 48, 1)) * np.ones(3)
    found = rejoined(np.full((8, 12, 3), 90.0), sepia.sepia(gray))
    assert np.abs(found - gray).max() <= 1
