import numpy as np
import pytest

from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

QUARTER = np.pi / 2


def some(count: int, *, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    columns = [random.uniform(0, 100, count) for _ in range(2)] + [random.uniform(0.5, 100, count) for _ in range(2)]
    return np.stack([*columns, random.uniform(-7, 7, count)], 1).astype("float32")


def polygons(boxes):
    geometry = pytest.importorskip("shapely.geometry")
    return [geometry.Polygon(points[:, ::-1]) for points in np.asarray(rotated_boxes.corners(boxes))]


def test_iou_equals_shapelys_for_any_pair_near_copies_included():
    a, b = some(40, seed=1), some(50, seed=2)
    b[:5], b[5:10], b[10:15], b[15:20] = a[:5], a[5:10], a[10:15], a[15:20]
    b[5:10, 4] += 1e-5  # nearly parallel sides
    b[10:15, 1] += 1e-3
    b[15:20, 4] += QUARTER
    found = np.asarray(rotated_boxes.iou(a, b))
    expected = [[p.intersection(q).area / p.union(q).area for q in polygons(b)] for p in polygons(a)]
    assert np.abs(found - np.array(expected)).max() < 1e-5
    assert np.allclose(found, np.asarray(rotated_boxes.iou(b, a)).T, atol=1e-5)


def test_iou_of_a_cross_and_of_boxes_without_rotation():
    cross = np.array([[5, 5, 1, 2, 0.3], [5, 5, 1, 2, 0.3 + QUARTER]])
    assert np.allclose(np.asarray(rotated_boxes.iou(cross, cross))[0, 1], 1 / 3)
    flat = some(30)
    flat[:, 4] = 0
    assert np.allclose(rotated_boxes.iou(flat, flat), plain.iou(*[rotated_boxes.around(flat)] * 2), atol=1e-5)
    empty = np.array([[5.0, 5.0, 0.0, 3.0, 0.1]])
    assert np.asarray(rotated_boxes.iou(empty, empty)) == 0


def test_corners_turn_clockwise_on_the_screen():
    assert np.allclose(rotated_boxes.corners([[10, 20, 2, 4, 0]]), [[[9, 18], [9, 22], [11, 22], [11, 18]]])
    assert np.allclose(rotated_boxes.corners([[10, 20, 2, 4, QUARTER]])[0, 0], [8, 21], atol=1e-5)


def test_codec_is_its_own_inverse_modulo_half_a_turn():
    boxes, references = some(100, seed=1), some(100, seed=2)
    back = rotated_boxes.decode(rotated_boxes.encode(boxes, references), references)
    assert np.allclose(np.diag(rotated_boxes.iou(back, boxes)), 1, atol=1e-3)
    assert np.abs(np.asarray(rotated_boxes.encode(boxes, references))[:, 4]).max() <= QUARTER + 1e-5
    turned = boxes + np.array([0, 0, 0, 0, 3 * np.pi])
    assert np.allclose(rotated_boxes.encode(turned, references), rotated_boxes.encode(boxes, references), atol=1e-4)


def test_codec_without_rotation_is_that_of_plain_boxes():
    boxes, references = some(20, seed=1), some(20, seed=2)
    boxes[:, 4] = references[:, 4] = 0
    flat = plain.encode(rotated_boxes.around(boxes), rotated_boxes.around(references))
    assert np.allclose(np.asarray(rotated_boxes.encode(boxes, references))[:, :4], flat, atol=1e-3)


def test_canonical_is_one_description_of_each_box():
    boxes = some(50)
    swapped = boxes[:, [0, 1, 3, 2, 4]] + np.array([0, 0, 0, 0, QUARTER])
    one, other = (np.asarray(rotated_boxes.canonical(x)) for x in (boxes, swapped))
    assert np.allclose(one[:, :4], other[:, :4]) and (one[:, 3] >= one[:, 2]).all()
    assert np.allclose(np.sin(2 * one[:, 4]), np.sin(2 * other[:, 4]), atol=1e-4)
    assert (one[:, 4] >= -QUARTER - 1e-5).all() and (one[:, 4] < QUARTER + 1e-5).all()


def test_corners_give_the_box_back():
    boxes = some(50)
    back = rotated_boxes.from_corners(rotated_boxes.corners(boxes))
    assert np.allclose(rotated_boxes.canonical(back), rotated_boxes.canonical(boxes), atol=1e-2)


def test_no_boxes_at_all():
    none = np.zeros((0, 5), "float32")
    assert np.asarray(rotated_boxes.around(none)).shape == (0, 4)
    assert np.asarray(rotated_boxes.iou(none, some(3))).shape == (0, 3)
    assert np.asarray(rotated_boxes.canonical(none)).shape == (0, 5)
