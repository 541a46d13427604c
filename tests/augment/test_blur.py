import keras
import numpy as np
import pytest
from scipy import ndimage

from kvision.augment import GaussianBlur
from kvision.augment.blur import blur
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 60, 41, 3)).astype("float32")
SIGMAS = np.array([0.1, 1.1, 2.0], "float32")


@pytest.mark.parametrize(("height", "width", "share", "radius"), [(60, 41, 0.1, 2), (60, 41, 0.5, 10), (9, 30, 0.9, 4)])
def test_equals_scipy(height, width, share, radius):
    images = IMAGES[:, :height, :width]
    found = np.asarray(blur(images, SIGMAS, share))
    for image, sigma, ours in zip(images, SIGMAS, found, strict=True):
        sigmas, radii = (sigma, sigma, 0), (radius, radius, 0)
        expected = ndimage.gaussian_filter(image.astype("float64"), sigmas, radius=radii, mode="mirror")
        np.testing.assert_allclose(ours, expected, atol=1e-3)


@pytest.mark.parametrize(("side", "size"), [(224, 23), (96, 9), (70, 7), (40, 5), (32, 3), (19, 1), (1, 1)])
def test_kernel_is_a_tenth_of_the_side_made_odd(side, size):
    image = np.zeros((1, side, side, 3), "float32")
    image[0, side // 2, side // 2] = 1
    found = np.asarray(blur(image, np.array([5.0], "float32")))
    assert (found[0, ..., 0] > 0).any(axis=0).sum() == size
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1, atol=1e-5)


def test_draws():
    blurred, sigmas = (np.asarray(part) for part in GaussianBlur(0.3, (0.5, 1.5)).draw([1, 2], 10_000))
    assert abs(blurred.mean() - 0.3) < 4 * (0.21 / 10_000) ** 0.5
    unit = np.sort(sigmas - 0.5)
    assert np.abs(unit - (np.arange(10_000) + 0.5) / 10_000).max() < 2.0 / 100  # Kolmogorov
    assert abs(np.corrcoef(blurred, sigmas)[0, 1]) < 0.05


def test_the_layer_blurs_some_and_leaves_others_and_replays():
    batch, layer = IMAGES[:1, :20, :20].repeat(200, axis=0), GaussianBlur(sigma=(1.0, 2.0))
    views = np.asarray(layer(batch, key=[1, 2]))
    blurred, sigmas = (np.asarray(part) for part in layer.draw([1, 2], 200))
    np.testing.assert_array_equal((views != batch).any(axis=(1, 2, 3)), blurred)
    np.testing.assert_allclose(views[blurred], np.asarray(blur(batch, sigmas))[blurred], atol=1e-4)
    assert len(np.unique(views[blurred][:, 5, 5, 0])) > 50, "a width each"
    np.testing.assert_array_equal(layer(batch, key=[1, 2]), views)
    assert (np.asarray(layer(batch, key=[2, 2])) != views).any()


def test_config_round_trip():
    layer = GaussianBlur(0.4, (0.2, 3), 0.2, seed=1, name="b")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config() and copy.sigma == (0.2, 3.0)


@pytest.mark.parametrize(
    ("name", "value"), [("probability", 2), ("sigma", (0.0, 1.0)), ("sigma", 2), ("kernel_share", 0)]
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(UserError, match=f"`{name}` is not valid"):
        GaussianBlur(**{name: value})
