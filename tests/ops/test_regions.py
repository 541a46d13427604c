import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.ops import rotated_boxes
from kvision.ops.regions import enlarge, regions

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.normal(size=(2, 6, 7, 3)).astype("float32")
# In pixels of an image of 48 x 56: inside, partly outside, outside, one pixel, and the whole image.
BOXES = np.array(
    [
        [[5, 7, 30, 41], [-20, 30.5, 20, 90], [70, -50, 90, -20], [11, 12, 12, 13], [0, 0, 48, 56]],
        [[0.5, 0.25, 9, 55], [40, 40, 60, 60], [-9, -9, -1, 70], [47, 55, 48, 56], [20, 3, 21, 50]],
    ],
    "float32",
)
TURNED = np.concatenate(
    [(BOXES[..., :2] + BOXES[..., 2:]) / 2, BOXES[..., 2:] - BOXES[..., :2], RANDOM.uniform(-7, 7, (2, 5, 1))], -1
).astype("float32")


def value(image: np.ndarray, y: float, x: float, outside) -> np.ndarray:
    """The value at a point of the image plane, whose first pixel has its center at (0.5, 0.5)."""
    height, width, _ = image.shape
    if outside is not None and not (0 <= y <= height and 0 <= x <= width):
        return np.array(outside)
    y, x = min(max(y - 0.5, 0), height - 1), min(max(x - 0.5, 0), width - 1)
    found = np.zeros(image.shape[2])
    for row in range(height):
        for column in range(width):
            found = found + max(0, 1 - abs(row - y)) * max(0, 1 - abs(column - x)) * image[row, column]
    return found


def slow(maps, boxes, size, *, stride=1, samples=1, outside=None):
    found = np.zeros((*boxes.shape[:2], size, size, maps.shape[-1]))
    for b, n, i, j in np.ndindex(found.shape[:4]):
        box, points = boxes[b, n].astype("float64"), []
        for k in range(samples * samples):
            down = (i + (k // samples + 0.5) / samples) / size
            across = (j + (k % samples + 0.5) / samples) / size
            if len(box) == 4:
                y, x = box[0] + down * (box[2] - box[0]), box[1] + across * (box[3] - box[1])
            else:
                corner = np.asarray(rotated_boxes.corners(boxes[b, n])).astype("float64")
                y, x = corner[0] + across * (corner[1] - corner[0]) + down * (corner[3] - corner[0])
            points.append(value(maps[b], y / stride, x / stride, outside))
        found[b, n, i, j] = np.mean(points, 0)
    return found


@pytest.mark.parametrize("boxes", [BOXES, TURNED], ids=["plain", "rotated"])
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 8}, {"stride": 8, "samples": 2, "outside": (5.0, 6.0, 7.0)}, {"outside": (5.0, 6.0, 7.0)}],
    ids=str,
)
def test_equals_a_slow_loop(boxes, options):
    boxes = boxes / np.array([1 if options.get("stride") else 8] * 4 + [1], "float32")[: boxes.shape[-1]]
    found = np.asarray(regions(MAPS, boxes, 3, **options))
    np.testing.assert_allclose(found, slow(MAPS, boxes, 3, **options), atol=1e-4)
    assert np.abs(found - np.asarray(regions(MAPS[::-1], boxes, 3, **options))).max() > 0.1, "control: other images"


def ramp(height: int, width: int) -> np.ndarray:
    """An image that holds the coordinates of its pixel centers."""
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return np.stack([y, x], -1).astype("float32")[None]


def test_of_coordinates_it_gives_the_centers_of_the_parts():
    found = np.asarray(regions(ramp(40, 40), np.array([[[4.0, 6.0, 12.0, 30.0]]], "float32"), 2))[0, 0]
    np.testing.assert_allclose(found, [[[6, 12], [6, 24]], [[10, 12], [10, 24]]], atol=1e-4)
    box = np.array([[[20.0, 20.0, 4.0, 12.0, np.pi / 2]]], "float32")  # its width now goes down
    found = np.asarray(regions(ramp(40, 40), box, 2))[0, 0]
    np.testing.assert_allclose(found, [[[17, 21], [23, 21]], [[17, 19], [23, 19]]], atol=1e-4)


def test_the_whole_image_at_its_size_is_the_image():
    whole = np.array([[[0, 0, 6, 6]], [[0, 0, 6, 6]]], "float32")
    np.testing.assert_allclose(np.asarray(regions(MAPS[:, :, :6], whole, 6))[:, 0], MAPS[:, :, :6], atol=1e-6)


def test_a_rotated_box_without_angle_is_a_box():
    flat = TURNED.copy()
    flat[..., 4] = 0
    for options in ({"stride": 8, "samples": 2}, {"stride": 8, "outside": (1.0, 2.0, 3.0)}):
        found = np.asarray(regions(MAPS, flat, 4, **options))
        np.testing.assert_allclose(found, regions(MAPS, BOXES, 4, **options), atol=1e-4)


def test_gradients_reach_the_pixels_that_were_read():
    maps = tf.constant(MAPS)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        total = tf.reduce_sum(regions(maps, BOXES[:, :1], 2, stride=8, samples=2)[0])
    slope = tape.gradient(total, maps).numpy()
    assert slope[0].sum() == pytest.approx(4 * 3, abs=1e-4), "the weights of each point sum to 1"
    assert not slope[1].any()


def test_no_boxes_give_no_regions():
    assert regions(MAPS, BOXES[:, :0], 3, stride=8, samples=2).shape == (2, 0, 3, 3, 3)


def test_half_precision_has_exact_places():
    """float16 has steps of 2 above 2,048, so a box of 3 pixels would be lost."""
    image = np.zeros((1, 1, 4100, 1), "float16")
    image[0, 0, 4091:4094] = [[1], [2], [3]]
    found = regions(image, np.array([[[0.0, 4091.0, 1.0, 4094.0]]], "float32"), 3)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(np.asarray(found)[0, 0, 1, :, 0], [1, 2, 3], atol=1e-2)


def test_enlarge_keeps_center_and_angle():
    assert np.allclose(enlarge(np.array([[2.0, 4.0, 6.0, 6.0]]), 1.5), [[1, 3.5, 7, 6.5]])
    assert np.allclose(enlarge(np.array([[4.0, 5.0, 4.0, 2.0, 0.3]]), 1.5), [[4, 5, 6, 3, 0.3]])
