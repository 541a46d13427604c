import math

import numpy as np
import pytest
import tensorflow as tf

from kvision.ops import cells, rotated_boxes

SIDE = 64.0


def some(count: int, *, rotated: bool) -> np.ndarray:
    """Random, tiny and huge boxes."""
    random = np.random.default_rng(0)
    center, sides = random.uniform(-50, 500, (count, 2)), np.exp(random.uniform(-3, 8, (count, 2)))
    if rotated:
        return np.concatenate([center, sides, random.uniform(-7, 7, (count, 1))], 1).astype("float32")
    return np.concatenate([center - sides / 2, center + sides / 2], 1).astype("float32")


def test_centers_are_in_the_middle_of_the_cells():
    maps = np.zeros((3, 2, 3, 5))
    expected = [[4, 4], [4, 12], [4, 20], [12, 4], [12, 12], [12, 20]]
    assert np.asarray(cells.centers(maps, 8)).tolist() == expected


def test_boxes_are_decoded_as_they_were_encoded():
    boxes, places = some(200, rotated=False), np.random.default_rng(1).uniform(0, 500, (200, 2)).astype("float32")
    offsets = np.asarray(cells.encode(tf.constant(boxes), places, SIDE))
    assert offsets.shape == (200, cells.columns(rotated=False))
    wide = boxes[:, 2:] - boxes[:, :2] < 62 * SIDE  # the largest side
    found = np.asarray(cells.decode(offsets, places, SIDE))
    assert wide.all() and np.allclose(found, boxes, rtol=1e-4, atol=2e-3)


def test_rotated_boxes_too_modulo_half_a_turn():
    boxes, places = some(200, rotated=True), np.random.default_rng(1).uniform(0, 500, (200, 2)).astype("float32")
    offsets = np.asarray(cells.encode(tf.constant(boxes), places, SIDE))
    assert offsets.shape == (200, cells.columns(rotated=True))
    found = np.asarray(cells.decode(offsets, places, SIDE))
    assert np.allclose(found[:, :4], boxes[:, :4], rtol=1e-4, atol=2e-3)
    apart = (found[:, 4] - boxes[:, 4]) / math.pi
    assert np.abs(apart - np.round(apart)).max() < 1e-5
    turned = boxes + np.array([0, 0, 0, 0, math.pi])
    np.testing.assert_allclose(cells.encode(turned.astype("float32"), places, SIDE), offsets, atol=1e-4)


def test_by_hand():
    offsets = cells.encode(np.array([[0.0, 8.0, 16.0, 24.0]], "float32"), np.array([[4.0, 12.0]], "float32"), 8.0)
    np.testing.assert_allclose(offsets, [[0.5, 0.5, math.log(2), math.log(2)]], atol=1e-6)
    square = cells.decode(np.zeros((1, 4), "float32"), np.array([[10.0, 20.0]], "float32"), 8.0)
    assert np.asarray(square).tolist() == [[6, 16, 14, 24]]


def test_sides_do_not_overflow():
    found = np.asarray(cells.decode(np.full((1, 6), 1e4, "float32"), np.zeros((1, 2), "float32"), SIDE))
    assert np.isfinite(found).all() and found[0, 2] == pytest.approx(SIDE * 1000 / 16)


@pytest.mark.parametrize("rotated", [False, True])
def test_inside_is_the_share_of_the_side(rotated):
    random = np.random.default_rng(2)
    boxes, places = some(20, rotated=rotated), random.uniform(0, 500, (30, 2)).astype("float32")
    if rotated:
        boxes[:, 2:4] = boxes[:, 2:4].clip(3)  # the corners of a tiny box are not exact enough
    boxes[3, 2:4] = boxes[3, :2] if not rotated else 0
    found = np.asarray(cells.inside(places, tf.constant(boxes)))
    for i, j in np.ndindex(found.shape):
        if j == 3:
            assert np.isinf(found[i, j])
            continue
        corners = rotated_boxes.corners(boxes[j]) if rotated else boxes[j][[[0, 1], [0, 3], [2, 3], [2, 1]]]
        corners = np.asarray(corners).astype("float64")
        step, sides = places[i] - corners.mean(0), (corners[1] - corners[0], corners[3] - corners[0])
        shares = [np.dot(step, side) / np.dot(side, side) for side in sides]
        assert found[i, j] == pytest.approx(np.abs(shares).max(), rel=1e-3, abs=1e-3)
    batched = np.asarray(cells.inside(np.stack([places, places[::-1]]), tf.constant(np.stack([boxes, boxes[::-1]]))))
    np.testing.assert_allclose(batched, [found, found[::-1, ::-1]], rtol=1e-5)


def test_areas():
    assert np.allclose(cells.area(np.array([[1.0, 2.0, 4.0, 7.0], [5.0, 5.0, 4.0, 9.0]])), [15, 0])
    assert np.allclose(cells.area(np.array([[1.0, 2.0, 4.0, 7.0, 0.5]])), [28])
