import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.objects import Objects
from kvision.ops import rotated_boxes
from kvision.tasks import detections

MODEL = keras.Sequential([keras.Input((2,))], name="thing")


def rows(count: int = 40, seed: int = 0) -> np.ndarray:
    """Rows of boxes far from each other, with falling scores, and unused rows."""
    random = np.random.default_rng(seed)
    corner = np.stack(np.meshgrid(np.arange(5), np.arange(8), indexing="ij"), -1).reshape(-1, 2)[:count] * 50.0
    boxes = np.concatenate([corner, corner + random.uniform(10, 30, (count, 2))], 1)
    scores = np.sort(random.uniform(0.1, 1, count))[::-1]
    used = np.column_stack([boxes, scores, random.integers(0, 3, count)])
    return np.concatenate([used, [[0, 0, 0, 0, 0, -1]] * 5]).astype("float32")


def objects(table: np.ndarray) -> Objects:
    return detections.read({"detections": table})


def test_both_forms_of_outputs_are_read():
    table = rows(3)
    one = objects(table)
    other = detections.read({"boxes": table[:, :4], "scores": table[:, 4], "labels": table[:, 5].astype("int32")})
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(one.labels) == 3 and one.labels.dtype == np.int32
    scaled = detections.read({"detections": table}, (2.0, 0.5))
    np.testing.assert_allclose(scaled.boxes, one.boxes * [2, 0.5, 2, 0.5])


def test_rotated_boxes_keep_their_angle_and_scale_their_area():
    table = np.array([[10, 20, 6, 8, 0.4, 0.9, 1]], "float32")
    box = detections.read({"detections": table}, (4.0, 1.0)).boxes[0]
    np.testing.assert_allclose(box, [40, 20, 12, 16, 0.4])
    even = detections.read({"detections": table}, (3.0, 3.0)).boxes
    np.testing.assert_allclose(rotated_boxes.corners(even), 3 * rotated_boxes.corners(table[:, :5]), rtol=1e-5)


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"probabilities": np.zeros((4, 6))},
        {"detections": np.zeros((2, 5))},
        {"detections": np.zeros((2, 8))},
        {"detections": np.zeros(6)},
        {"detections": np.full((1, 6), np.nan)},
        {"detections": np.array([[0, 0, np.inf, 9, 1, 1]])},
        {"boxes": np.zeros((2, 4)), "scores": np.zeros(3), "labels": np.zeros(2)},
        {"boxes": np.zeros((2, 4)), "scores": np.zeros(2)},
        {"boxes": np.zeros((2, 3)), "scores": np.zeros(2), "labels": np.zeros(2)},
    ],
)
def test_other_outputs_are_refused(outputs):
    with pytest.raises(UserError, match="`outputs`"):
        detections.read(outputs)


def test_above_sorts_and_includes_the_threshold():
    table = rows(4)[[2, 0, 3, 1]]
    table[:, 4] = [0.5, 0.9, 0.49, 0.7]
    found = detections.above(objects(table), 0.5)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    np.testing.assert_array_equal(found.boxes, table[[1, 3, 0], :4])


def set_to(row: int, column: int, value: float):
    def change(table: np.ndarray) -> None:
        table[row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_to(0, 0, np.nan), "not finite"),
        (set_to(0, 4, 1.5), "outside of"),
        (set_to(39, 4, -0.2), "outside of"),
        (set_to(0, 4, 0.1), "falling order"),
        (set_to(0, 5, 0.5), "no class indices"),
        (set_to(0, 5, -2), "no class indices"),
        (set_to(0, 5, 3), "without a class name"),
        (set_to(-1, 0, 7), "unused rows"),
        (set_to(0, 5, -1), "unused rows"),
    ],
)
def test_wrong_rows_are_refused(change, words):
    table = rows()
    detections.check(MODEL, table[None], ["a", "b", "c"])
    change(table)
    with pytest.raises(UserError, match=rf"`model` 'thing'.*{words}"):
        detections.check(MODEL, table[None], ["a", "b", "c"])


def test_classes_without_names_may_have_any_number():
    table = rows()
    table[0, 5] = 900
    detections.check(MODEL, table[None], None)


def lost(a: np.ndarray, b: np.ndarray, limit: int = 45) -> tuple[int, int]:
    one, other = objects(a), objects(b)
    return detections.missing(one, other, limit), detections.missing(other, one, limit)


def test_rounding_makes_no_difference():
    table = rows()
    noise = np.random.default_rng(1).uniform(-1e-4, 1e-4, table.shape) * [[10, 10, 10, 10, 1, 0]]
    assert lost(table, table + noise * (table[:, 5:] >= 0)) == (0, 0)
    swapped = table.copy()
    swapped[3:5, 4] = table[3, 4]
    assert lost(swapped, swapped[[0, 1, 2, 4, 3, *range(5, 45)]]) == (0, 0), "equal scores in the other order"
    low = table.copy()
    low[30:40, 4] = 0.04
    fewer = low.copy()
    fewer[30:40] = table[-1]
    assert lost(low, fewer) == (0, 0), "scores near 0 may be missing"
    one = table.copy()
    one[20] = table[-1]
    assert lost(table, one) == (0, 0), "one of forty may be suppressed"


def test_differences_are_counted():
    table = rows()
    for column, change in [(0, 5.0), (4, -0.01), (5, 3.0)]:
        other = table.copy()
        other[:5, column] += change
        assert lost(table, other) == (5, 5), column
    fewer = table.copy()
    fewer[:5] = table[-1]
    assert lost(table, fewer) == (5, 0) and lost(fewer, table) == (0, 5)
    assert lost(table[:1], rows(seed=1)[:1], limit=1) == (1, 1), "a single object must be right"
    empty = table[-5:]
    assert lost(empty, empty) == (0, 0) and lost(table, empty)[0] == 40


def test_a_full_list_may_end_differently():
    """The last of the rows and the first that was left out have equal scores."""
    table = rows()[:40]
    table[30:, 4] = table[30, 4]
    other = table[:35].copy()
    assert lost(table, other, limit=40) == (0, 0)
    assert lost(table, other, limit=41)[0] == 5, "the control: with a free row all of them must be there"


def test_empty_boxes_are_alike():
    table = rows(2)[:2]
    table[:, 2:4], table[:, 5] = table[:, :2], 1
    assert detections.alike(objects(table), objects(table)).tolist() == [[True, False], [False, True]]
