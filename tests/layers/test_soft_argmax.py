import keras
import numpy as np
import pytest

import kvision as kv


def numbers(maps) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(kv.layers.SoftArgmax()(maps.astype("float32"))))


@pytest.mark.parametrize("size", [(5, 9), (4, 4), (16, 3)])
def test_a_single_peak_gives_its_place(size):
    random = np.random.default_rng(0)
    maps, expected = np.zeros((3, *size, 8)), np.zeros((3, 2, 4))
    for image in range(3):
        for column in range(8):
            place = [int(random.integers(side)) for side in size]
            maps[image, place[0], place[1], column] = 80
            axis = column % 2
            expected[image, column // 4, column % 4] = place[axis] / (size[axis] - 1)
    np.testing.assert_allclose(numbers(maps), expected, atol=1e-5)


def test_it_is_the_expectation_computed_slowly():
    maps = np.random.default_rng(1).normal(0, 2, (2, 4, 6, 4))
    found = numbers(maps)
    for image in range(2):
        for column in range(4):
            weights = np.exp(maps[image, :, :, column])
            places = [row / 3 if column % 2 == 0 else across / 5 for row in range(4) for across in range(6)]
            expected = np.average(places, weights=weights.ravel())
            np.testing.assert_allclose(found[image, 0, column], expected, rtol=1e-5)


def test_plain_maps_give_the_middle_and_corners_the_border():
    assert numbers(np.zeros((1, 7, 7, 4))).round(5).tolist() == [[[0.5] * 4]]
    maps = np.zeros((1, 7, 7, 4))
    maps[0, 0, 0, :2] = maps[0, -1, -1, 2:] = 80
    assert numbers(maps).round(5).tolist() == [[[0, 0, 1, 1]]]


def test_it_is_serialized_and_tells_its_shape():
    layer = keras.layers.deserialize(keras.layers.serialize(kv.layers.SoftArgmax(name="sides")))
    assert layer.name == "sides" and layer(keras.Input((4, 4, 12))).shape == (None, 3, 4)
