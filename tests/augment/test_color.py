import colorsys
import itertools

import keras
import numpy as np
import pytest
from PIL import Image

from kvision.augment import ColorJitter, RandomGray, Solarize
from kvision.augment.color import gray, jitter, solarize
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (3, 6, 5, 3)).astype("float32")
BATCH = IMAGES[:1].repeat(10_000, axis=0)[:, :2, :2]


def slow(image, factors, hue, order):
    """torchvision's float path, pixel by pixel."""
    image = image.astype("float64")
    for operation in order:
        light = image @ [0.299, 0.587, 0.114]
        if operation == 3:
            pixels = []
            for pixel in image.reshape(-1, 3) / 255:
                h, s, v = colorsys.rgb_to_hsv(*pixel)
                pixels.append(colorsys.hsv_to_rgb((h + hue) % 1, s, v))
            image = 255 * np.array(pixels).reshape(image.shape)
        else:
            reference = [0.0, light.mean(), light[..., None]][operation]
            image = np.clip(factors[operation] * image + (1 - factors[operation]) * reference, 0, 255)
    return image


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_equals_pixel_by_pixel(order):
    factors = np.array([[1.7, 0.3, 1.8], [0.2, 1.9, 0.0], [1.3, 1.6, 1.5]], "float32")
    hues, orders = np.array([0.2, -0.5, -0.03], "float32"), np.array([order] * 3, "int32")
    found = np.asarray(jitter(IMAGES, factors, hues, orders))
    for index in range(3):
        expected = slow(IMAGES[index], factors[index], float(hues[index]), order)
        np.testing.assert_allclose(found[index], expected, atol=2e-3)
    other = slow(IMAGES[0], factors[0], 0.2, order[::-1])
    assert np.abs(found[0] - other).max() > 1, "control: the order matters"


def test_each_image_has_its_own_order():
    orders = np.array([[3, 0, 1, 2], [0, 1, 2, 3], [2, 0, 3, 1]], "int32")
    factors, hues = np.full((3, 3), 1.6, "float32"), np.full(3, 0.1, "float32")
    found = np.asarray(jitter(IMAGES, factors, hues, orders))
    for index in range(3):
        np.testing.assert_allclose(found[index], slow(IMAGES[index], [1.6] * 3, 0.1, orders[index]), atol=2e-3)
    without = jitter(IMAGES, factors, None, orders)
    np.testing.assert_allclose(without, jitter(IMAGES, factors, np.zeros(3, "float32"), orders), atol=1e-3)


def test_hue_of_gray_of_primaries_and_of_a_whole_turn():
    colors = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90], [0, 0, 0], [255, 255, 0]]]], "float32")
    still = (np.ones((1, 3), "float32"), np.array([[0, 1, 2, 3]], "int32"))
    third = np.asarray(jitter(colors, still[0], np.array([1 / 3], "float32"), still[1]))
    expected = [[0, 255, 0], [0, 0, 255], [255, 0, 0], [90, 90, 90], [0, 0, 0], [0, 255, 255]]
    np.testing.assert_allclose(third[0, 0], expected, atol=1e-3)
    halves = [jitter(colors, still[0], np.array([turn], "float32"), still[1]) for turn in (0.5, -0.5)]
    np.testing.assert_allclose(halves[0], halves[1], atol=1e-3)


def test_draws_are_torchvisions():
    count, layer = 10_000, ColorJitter(0.8, 1.5, 0.4, 0.2)
    factors, hues, orders = (np.asarray(part) for part in layer.draw([1, 2], count))
    columns = {"brightness": factors[:, 0], "contrast": factors[:, 1], "saturation": factors[:, 2], "hue": hues}
    ranges = {"brightness": (0.2, 1.8), "contrast": (0, 2.5), "saturation": (0.6, 1.4), "hue": (-0.2, 0.2)}
    for name, values in columns.items():
        low, high = ranges[name]
        unit = np.sort((values - low) / (high - low))
        assert unit[0] > -1e-6 and unit[-1] < 1 + 1e-6, name
        assert np.abs(unit - (np.arange(count) + 0.5) / count).max() < 2.0 / count**0.5, name  # Kolmogorov
    assert np.abs(np.corrcoef([*columns.values(), orders[:, 0]]) - np.eye(5)).max() < 5 / count**0.5
    found, counts = np.unique(orders, axis=0, return_counts=True)
    assert found.tolist() == [list(order) for order in itertools.permutations(range(4))]
    assert np.abs(counts / count - 1 / 24).max() < 4 * (1 / 24 * 23 / 24 / count) ** 0.5


def test_share_of_images_that_are_jittered():
    views = np.asarray(ColorJitter(0.4, 0.4, 0.4, 0.1, probability=0.8)(BATCH, key=[1, 2]))
    changed = np.abs(views - BATCH).max(axis=(1, 2, 3)) > 1e-3
    assert abs(changed.mean() - 0.8) < 4 * (0.16 / 10_000) ** 0.5
    assert np.abs(views[~changed] - BATCH[~changed]).max() < 1e-4 * 255


def test_gray_and_solarized_as_pillow_has_them():
    expected = [np.asarray(Image.fromarray(each.astype("uint8")).convert("L")) for each in IMAGES]
    found = np.asarray(gray(IMAGES))
    assert np.abs(found - np.array(expected)[..., None]).max() < 0.51  # Pillow rounds
    assert (found[..., :1] == found).all()
    values = np.array([0, 127, 128, 255], "float32").reshape(1, 1, 4, 1).repeat(3, axis=-1)
    assert np.asarray(solarize(values))[0, 0, :, 0].tolist() == [0, 127, 127, 0]
    assert np.asarray(solarize(values, 256.0))[0, 0, :, 0].tolist() == [0, 127, 128, 255]


@pytest.mark.parametrize(("layer", "function"), [(RandomGray(0.2), gray), (Solarize(0.3, 100.0), solarize)])
def test_shares_of_gray_and_solarized_images(layer, function):
    views = np.asarray(layer(BATCH, key=[1, 2]))
    changed = (views != BATCH).any(axis=(1, 2, 3))
    p = layer.probability
    assert abs(changed.mean() - p) < 4 * (p * (1 - p) / 10_000) ** 0.5
    threshold = (100.0,) if function is solarize else ()
    np.testing.assert_allclose(views[changed][:5], np.asarray(function(BATCH[:5], *threshold)), atol=1e-4)


@pytest.mark.parametrize("layer", [ColorJitter(0.4, 0.4, 0.4, 0.1), RandomGray(0.5), Solarize(0.5)])
def test_replay_images_apart_and_config(layer):
    views = np.asarray(layer(BATCH[:32], key=[1, 2]))
    np.testing.assert_array_equal(layer(BATCH[:32], key=[1, 2]), views)
    assert (np.asarray(layer(BATCH[:32], key=[1, 3])) != views).any() and (views != views[:1]).any()
    assert views.min() >= 0 and views.max() <= 255
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(copy(BATCH[:32], key=[1, 2]), views)
    assert layer.compute_output_shape((None, 5, 7, 3)) == (None, 5, 7, 3)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (ColorJitter, "brightness", -0.1),
        (ColorJitter, "contrast", "much"),
        (ColorJitter, "saturation", float("nan")),
        (ColorJitter, "hue", 0.6),
        (ColorJitter, "probability", 2),
        (RandomGray, "probability", -1),
        (Solarize, "threshold", 300),
    ],
)
def test_bad_arguments_are_named(layer, name, value):
    with pytest.raises(UserError, match=f"`{name}` is not valid"):
        layer(**{name: value})
