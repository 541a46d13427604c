import keras
import numpy as np
import pytest
from keras import ops
from upscaling import at_any_size

import kvision as kv

SHARES = [[0.1, 0.2, 0.5, 0.9], [0.5, 0.5, 1.5, 1.25], [2.0, 2.0, 3.0, 3.0], [0.4, 0.4, 0.41, 0.42]]


def corners(layer: kv.layers.Regions, box: list[float]) -> np.ndarray:
    """Where the corners of a box are in its region, in pixels of the region; read from an image of coordinates."""
    y, x = np.meshgrid(np.arange(120) + 0.5, np.arange(140) + 0.5, indexing="ij")
    shown = np.asarray(layer(np.stack([y, x], -1)[None].astype("float32"), np.array([[box]], "float32")))[0, 0]
    centers, found = np.arange(layer.size) + 0.5, []
    for axis, line in ((0, shown[:, 0, 0]), (1, shown[0, :, 1])):
        slope, start = np.polyfit(centers, line, 1)
        found += [(box[axis] - start) / slope, (box[axis + 2] - start) / slope]
    return np.array(found)


def test_context_is_the_same_number_of_pixels_on_each_side():
    box = [40.0, 30.0, 70.0, 110.0]
    for size, context in ((32, 4), (227, 16)):
        layer = kv.layers.Regions(size, context=context)
        np.testing.assert_allclose(corners(layer, box), [context, size - context] * 2, atol=0.01)
    np.testing.assert_allclose(corners(kv.layers.Regions(32), box), [0, 32] * 2, atol=0.01)
    wide = [40.0, 30.0 - 40 / 3, 70.0, 110.0 + 40 / 3]  # context on one axis only
    assert np.abs(corners(kv.layers.Regions(32, context=4), wide)[[2, 3]] - [4, 28]).max() < 0.01
    layer = kv.layers.Regions(32)
    assert abs(corners(layer, wide)[0] - 4) > 3, "control: no context from top to bottom"


def test_outside_of_the_image_there_is_one_color():
    layer = kv.layers.Regions(4, outside=(1, 2, 3))
    box = np.array([[[-10.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]]], "float32")
    found = np.asarray(layer(np.full((1, 20, 20, 3), 9.0, "float32"), box))[0]
    assert (found[0, :2] == [1, 2, 3]).all() and (found[0, 2:] == 9).all() and (found[1] == [1, 2, 3]).all()


@pytest.mark.parametrize("rotated", [False, True])
def test_at_any_size_everywhere(tmp_path, rotated):
    def make(image):
        boxes = kv.layers.Grid(SHARES)(image)
        if rotated:
            boxes = ops.concatenate([boxes, 0.01 * boxes[..., :1] + 0.3], -1)
        options = {"context": 1, "outside": (1, 2, 3, 4)} if rotated else {"samples": 2}
        return kv.layers.Regions(5, stride=2, **options)(keras.layers.Conv2D(4, 3, strides=2)(image), boxes)

    at_any_size(make, tmp_path)


def test_its_settings_are_saved():
    layer = kv.layers.Regions(7, stride=8, samples=2, context=1, outside=[1, 2.0], name="cut")
    again = kv.layers.Regions.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again.outside == (1.0, 2.0)


def test_half_precision_keeps_boxes_exact():
    image = np.zeros((1, 1, 4100, 1), "float32")
    image[0, 0, 4091:4094] = [[1], [2], [3]]
    found = kv.layers.Regions(3, dtype="mixed_float16")(image, np.array([[[0.0, 4091.0, 1.0, 4094.0]]], "float32"))
    assert found.dtype == "float16"
    np.testing.assert_allclose(np.asarray(found)[0, 0, 1, :, 0], [1, 2, 3], atol=1e-2)
    inputs = keras.Input((8, 8, 2), dtype="uint8"), keras.Input((3, 4))
    assert kv.layers.Regions(3, dtype="mixed_float16")(*inputs).dtype == "float16"
