import math

import keras
import numpy as np
import pytest
from PIL import Image

from kvision.augment import Key, RandomResizedCrop
from kvision.augment.crop import boxes, resample
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (4, 40, 56, 3), dtype="uint8")
BOXES = np.array([[0, 0, 40, 56], [3, 5, 34, 18], [38, 50, 39, 51], [7, 0, 19, 56]], "float32")
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def pillow(image, box, flipped, size, interpolation):
    """Slice, Pillow on each channel as floats, flip."""
    y0, x0, y1, x1 = box.astype(int)
    part = image[y0:y1, x0:x1].astype("float32")
    channels = [
        np.asarray(Image.fromarray(part[..., c]).resize(size[::-1], resample=FILTERS[interpolation])) for c in range(3)
    ]
    result = np.stack(channels, axis=-1).clip(0, 255)
    return result[:, ::-1] if flipped else result


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [(16, 16), (64, 48), (7, 91)])
def test_given_boxes_equal_slice_and_pillow(interpolation, size):
    flips = np.array([False, True, True, False])
    found = np.asarray(resample(IMAGES, BOXES, flips, size, interpolation=interpolation))
    for index in range(4):
        expected = pillow(IMAGES[index], BOXES[index], flips[index], size, interpolation)
        np.testing.assert_allclose(found[index], expected, atol=5e-3)


def torchvision_box(random, height, width, area, aspect):
    """RandomResizedCrop.get_params, in NumPy's words."""
    for _ in range(10):
        target = height * width * random.uniform(*area)
        ratio = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            y, x = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
            return y, x, y + h, x + w
    if width / height < aspect[0]:
        w, h = width, round(width / aspect[0])
    elif width / height > aspect[1]:
        w, h = round(height * aspect[1]), height
    else:
        w, h = width, height
    y, x = (height - h) // 2, (width - w) // 2
    return y, x, y + h, x + w


def measured(found):
    y0, x0, y1, x1 = np.asarray(found, "float64").T
    h, w = y1 - y0, x1 - x0
    return {"area": h * w, "aspect": np.log(w / h), "y": y0, "x": x0, "h": h, "bottom": y1, "right": x1}


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40)])
@pytest.mark.parametrize("area", [(0.08, 1.0), (0.67, 1.0)])
def test_boxes_are_distributed_as_torchvisions(height, width, area):
    count, random, aspect = 10_000, np.random.default_rng(0), (3 / 4, 4 / 3)
    ours = measured(boxes(Key([1, 2]), count, height, width, area=area, aspect=aspect))
    theirs = measured([torchvision_box(random, height, width, area, aspect) for _ in range(count)])
    for name in ours:
        one, two = ours[name], theirs[name]
        assert abs(one.mean() - two.mean()) < 4 * math.hypot(one.std(), two.std()) / count**0.5, name
        # Kolmogorov-Smirnov: the largest distance of the two distribution functions
        at = np.unique(np.concatenate([one, two]))
        distance = np.abs(np.searchsorted(np.sort(one), at, "right") - np.searchsorted(np.sort(two), at, "right")).max()
        assert distance / count < 2.0 * (2 / count) ** 0.5, name
    assert ours["y"].min() == 0 and ours["bottom"].max() == height and ours["right"].max() == width
    assert all((values == np.round(values)).all() for name, values in ours.items() if name != "aspect")


def test_where_every_try_fits_area_and_log_aspect_and_place_are_uniform():
    count, side = 10_000, 4000
    found = boxes(Key([1, 2]), count, side, side, area=(0.02, 0.2), aspect=(0.5, 3.0))
    values = measured(found)
    units = {
        "area": (values["area"] / side**2 - 0.02) / 0.18,
        "aspect": (values["aspect"] - math.log(0.5)) / math.log(6.0),
        "y": values["y"] / (side - values["h"]),
        "x": values["x"] / (side - (values["right"] - values["x"])),
    }
    for name, unit in units.items():
        assert np.abs(np.sort(unit) - (np.arange(count) + 0.5) / count).max() < 1.95 / count**0.5, name  # Kolmogorov
    assert np.abs(np.corrcoef(list(units.values())) - np.eye(4)).max() < 5 / count**0.5


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(10, 100, (0, 43, 10, 56)), (101, 9, (44, 0, 56, 9)), (1, 1, (0, 0, 1, 1))]
)
def test_where_no_try_fits_the_largest_central_box(height, width, expected):
    found = np.asarray(boxes(Key([1, 2]), 5, height, width, area=(1.0, 1.0), aspect=(3 / 4, 4 / 3)))
    assert found.tolist() == [list(expected)] * 5
    random = np.random.default_rng(0)
    assert torchvision_box(random, height, width, (1.0, 1.0), (3 / 4, 4 / 3)) == expected


def test_the_layer_draws_boxes_and_flips_and_replays():
    ramp = np.broadcast_to(np.arange(32.0)[None, None, :, None], (10_000, 2, 32, 3)).astype("float32")
    layer = RandomResizedCrop(4, area=(0.5, 0.5), aspect=(16.0, 16.0), flip=0.3)
    views = np.asarray(layer(ramp, key=[1, 2]))
    flipped = views[:, 0, -1, 0] < views[:, 0, 0, 0]
    assert views.shape == (10_000, 4, 4, 3) and abs(flipped.mean() - 0.3) < 4 * (0.21 / 10_000) ** 0.5
    np.testing.assert_array_equal(layer(ramp, key=[1, 2]), views)
    few = np.asarray(RandomResizedCrop((8, 9))(IMAGES[:1].repeat(3, axis=0), key=[3, 4]))
    other = np.asarray(RandomResizedCrop((8, 9))(IMAGES[:1].repeat(3, axis=0), key=[3, 5]))
    assert few.shape == (3, 8, 9, 3) and min(np.abs(few[0] - few[1]).mean(), np.abs(few - other).mean()) > 5


def test_bicubic_is_clipped():
    edges = np.kron(RANDOM.integers(0, 2, (2, 8, 8, 3)), np.ones((1, 4, 4, 1))).astype("float32") * 255
    whole, still = np.array([[0, 0, 32, 32]] * 2, "float32"), np.zeros(2, bool)
    views = np.asarray(resample(edges, whole, still, (50, 50), interpolation="bicubic"))
    assert views.min() == 0 and views.max() == 255


def test_config_round_trip_and_shapes():
    ranges = {"area": (0.2, 0.9), "aspect": (0.5, 2), "flip": 0}
    layer = RandomResizedCrop((8, 9), **ranges, interpolation="bicubic", seed=3, name="crop")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config() and copy.size == (8, 9) and copy.seed == 3
    assert layer.compute_output_shape((None, 5, 7, 3)) == (None, 8, 9, 3)
    np.testing.assert_array_equal(copy(IMAGES, key=[1, 2]), layer(IMAGES, key=[1, 2]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", 0), ("area", (0.0, 1.0)), ("area", (0.1, 1.1)), ("aspect", (2.0, 1.0)), ("flip", 1.5)],
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(UserError, match=f"`{name}` is not valid"):
        RandomResizedCrop(**{"size": 8, name: value})


def test_an_unknown_interpolation():
    with pytest.raises(UserError, match=r"`interpolation` is not known.*Did you mean 'bicubic'"):
        RandomResizedCrop(8, interpolation="cubic")
