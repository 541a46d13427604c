import keras
import numpy as np
import pytest

import kvision as kv
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

CLASSES = 3


def scene(count: int = 40, *, rotated: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of each class, and scores with ties."""
    random = np.random.default_rng(0)
    center, sides = random.uniform(0, 60, (2, count, CLASSES, 2)), random.uniform(8, 30, (2, count, CLASSES, 2))
    boxes = np.concatenate([center - sides / 2, center + sides / 2], -1)
    if rotated:
        boxes = np.concatenate([center, sides, random.uniform(-3, 3, (2, count, CLASSES, 1))], -1)
    return boxes.astype("float32"), (random.integers(0, 30, (2, count, CLASSES)) / 30).astype("float32")


def brute_force(boxes, scores, *, limit, iou, smallest_score, before):
    geometry, found = (plain if boxes.shape[-1] == 4 else rotated_boxes), []
    for label in range(CLASSES):
        order = sorted(range(len(scores)), key=lambda i: (-scores[i, label], i))
        order = [i for i in order if scores[i, label] >= np.float32(smallest_score)]
        if boxes.shape[-1] == 5:
            order = order[:before]
        overlap = np.asarray(geometry.iou(boxes[:, label], boxes[:, label]))
        kept: list[int] = []
        for i in order:
            if not (overlap[i, kept] > iou).any():
                kept.append(i)
        found += [(-scores[i, label], i, label) for i in kept]
    rows = np.zeros((limit, boxes.shape[-1] + 2))
    rows[:, -1] = -1
    for row, (score, i, label) in zip(rows, sorted(found), strict=False):
        row[:] = [*boxes[i, label], -score, label]
    return rows, len(found)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("limit", [10, 150])
def test_equals_brute_force(rotated, limit):
    boxes, scores = scene(rotated=rotated)
    options = {"limit": limit, "iou": 0.2, "smallest_score": 0.3, "before": 15}
    layer = kv.layers.Detections(**options)
    found = np.asarray(layer(boxes, scores))
    for i in range(2):
        expected, count = brute_force(boxes[i], scores[i], **options)
        assert 10 < count < 150
        np.testing.assert_allclose(found[i], expected, atol=1e-5)
        np.testing.assert_allclose(layer(boxes[i : i + 1], scores[i : i + 1])[0], found[i], atol=1e-5)


def test_boxes_can_be_the_same_for_all_classes():
    boxes, scores = scene()
    layer, shared = kv.layers.Detections(), boxes[:, :, 0]
    expected = layer(np.repeat(shared[:, :, None], CLASSES, 2), scores)
    np.testing.assert_array_equal(layer(shared, scores), expected)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("batch", [1, 2])
def test_without_boxes_or_scores_all_rows_are_unused(size, batch):
    unused = [0.0] * (size + 1) + [-1.0]
    for count, smallest in ((0, 0.01), (0, 0.0), (4, 0.01)):
        layer = kv.layers.Detections(limit=3, smallest_score=smallest)
        found = layer(np.ones((batch, count, CLASSES, size)), np.zeros((batch, count, CLASSES)))
        assert np.asarray(found).tolist() == [[unused] * 3] * batch


def test_a_model_with_it_is_saved(tmp_path):
    inputs = keras.Input((None, CLASSES, 5)), keras.Input((None, CLASSES))
    model = keras.Model(inputs, kv.layers.Detections(limit=9, iou=0.4, smallest_score=0.2, before=12)(*inputs))
    model.save(tmp_path / "x.keras")
    again = kv.load_model(tmp_path / "x.keras")
    assert again.output_shape == (None, 9, 7)
    found = again(list(scene(rotated=True)))
    np.testing.assert_array_equal(found, model(list(scene(rotated=True))))
