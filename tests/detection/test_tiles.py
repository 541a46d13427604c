import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.detection import Objects, merge_tiles

PLACES = np.array([[0, 0, 100, 100], [0, 80, 100, 180]])  # two tiles that share 20 columns
SIZE = (100, 180)


def objects(*rows: tuple) -> Objects:
    """Rows of a box, a label and a score."""
    table = np.array(rows, "float32").reshape(len(rows), -1)
    return Objects(table[:, :-2], table[:, -2].astype("int32"), table[:, -1])


def found(left: Objects, right: Objects, **options) -> list[tuple]:
    merged = merge_tiles([left, right], PLACES, SIZE, **options)
    return [(*box, label) for box, label in zip(merged.boxes.tolist(), merged.labels.tolist(), strict=True)]


def test_boxes_move_to_the_photograph_highest_score_first():
    left, right = objects((10, 20, 30, 40, 1, 0.6)), objects((10, 20, 30, 40, 0, 0.9))
    assert found(left, right) == [(10, 100, 30, 120, 0), (10, 20, 30, 40, 1)]


def test_an_object_that_both_tiles_have_appears_once():
    left, right = objects((10, 82, 30, 96, 1, 0.6)), objects((10, 3, 31, 17, 1, 0.7))
    assert found(left, right) == [(10, 83, 31, 97, 1)], "the one with the higher score"
    assert len(found(left, objects((10, 3, 31, 17, 0, 0.7)))) == 2, "different classes are different objects"
    assert len(found(left, right, iou=0.99)) == 2


def test_a_part_is_dropped_if_the_neighbor_has_the_whole_even_with_a_lower_score():
    part, whole = objects((10, 88, 30, 99, 1, 0.9)), objects((10, 8, 30, 48, 1, 0.6))
    assert found(part, whole) == [(10, 88, 30, 128, 1)]
    whole_left, part_right = objects((10, 60, 30, 95, 1, 0.6)), objects((10, 0, 30, 15, 1, 0.9))
    assert found(whole_left, part_right) == [(10, 60, 30, 95, 1)]


def test_what_is_no_part_stays():
    whole = objects((10, 8, 30, 48, 1, 0.6))
    assert len(found(objects((10, 88, 30, 99, 0, 0.9)), whole)) == 2, "a different class"
    assert len(found(objects((40, 88, 60, 99, 1, 0.9)), whole)) == 2, "a different place"
    assert len(found(objects((10, 78, 30, 90, 1, 0.9)), whole)) == 2, "does not end at the border of its tile"
    alone = objects((10, 90, 30, 100, 1, 0.9))
    empty = Objects(np.zeros((0, 4), "float32"), np.zeros(0, "int32"), np.zeros(0, "float32"))
    assert found(alone, empty) == [(10, 90, 30, 100, 1)], "the only evidence of an object"
    border = objects((0, 0, 20, 20, 1, 0.9), (0, 0, 90, 90, 1, 0.5))
    assert len(found(border, empty)) == 2, "the border of the photograph cuts nothing"


def test_no_objects_and_one_tile():
    empty = Objects(np.zeros((0, 5), "float32"), np.zeros(0, "int32"), np.zeros(0, "float32"))
    merged = merge_tiles([empty, empty], PLACES, SIZE)
    assert merged.boxes.shape == (0, 5) and merged.scores.shape == merged.labels.shape == (0,)
    one = merge_tiles([objects((1, 2, 3, 4, 0, 0.5))], np.array([[0, 0, 100, 100]]), (100, 100))
    assert one.boxes.tolist() == [[1, 2, 3, 4]]


def test_rotated():
    left = objects((50, 90, 8, 16, 0.3, 1, 0.7))
    right = objects((50, 10, 8, 16, 0.3 - np.pi, 1, 0.6), (20, 40, 8, 16, 1.0, 1, 0.9))
    (first, second) = found(left, right)
    assert first == pytest.approx((20, 120, 8, 16, 1.0, 1)) and second == pytest.approx((50, 90, 8, 16, 0.3, 1))
    part = objects((50, 95, 8, 10, 0.0, 1, 0.9))
    whole = objects((50, 20, 8, 20, 0.0, 1, 0.6))
    assert found(part, whole) == [(50, 100, 8, 20, 0, 1)]


def test_places_must_fit():
    with pytest.raises(UserError, match=r"`places`.*2 tiles"):
        kv.detection.merge_tiles([objects((1, 2, 3, 4, 0, 0.5))] * 2, PLACES[:1], SIZE)
