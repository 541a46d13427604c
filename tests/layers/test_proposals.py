import keras
import numpy as np
import pytest

import kvision as kv
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

SIDE, SIZE = 16.0, (60, 80)
IMAGES = np.zeros((3, *SIZE, 3), "float32")


def candidates(count: int = 60, *, rotated: bool = False) -> np.ndarray:
    """Few different logits, so that there are ties."""
    random = np.random.default_rng(0)
    places, logits = random.uniform(-10, 90, (3, count, 2)), random.integers(-3, 9, (3, count, 1)) / 2
    offsets = random.normal(0, 0.3, (3, count, 6 if rotated else 4))
    offsets[..., 2:4] += 0.5
    return np.concatenate([places, logits, offsets], -1).astype("float32")


def brute_force(rows: np.ndarray, count: int, before: int, iou: float) -> np.ndarray:
    order = sorted(range(len(rows)), key=lambda i: (-rows[i, 2], i))[:before]
    boxes = []
    for y, x, _, *offsets in rows[order]:
        y, x = y + offsets[0] * SIDE, x + offsets[1] * SIDE
        height, width = np.exp(offsets[2:4]) * SIDE
        if len(offsets) == 6:
            boxes.append([y, x, height, width, np.arctan2(*offsets[4:]) / 2])
        else:
            ends = np.array([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
            boxes.append(np.clip(ends, 0, [*SIZE, *SIZE]))
    found = np.zeros((count, len(boxes[0])))
    boxes = np.array(boxes)
    overlap = np.asarray((plain if boxes.shape[1] == 4 else rotated_boxes).iou(boxes, boxes))
    kept: list[int] = []
    for i in range(len(boxes)):
        if len(kept) < count and not (overlap[i, kept] > iou).any():
            found[len(kept)] = boxes[i]
            kept.append(i)
    return found


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize(("count", "before", "iou"), [(10, 40, 0.3), (62, 100, 0.5)], ids=["enough", "too few"])
def test_equals_brute_force(rotated, count, before, iou):
    rows = candidates(rotated=rotated)
    layer = kv.layers.Proposals(count=count, before=before, iou=iou, side=SIDE)
    found = np.asarray(layer(rows, IMAGES))
    expected = np.stack([brute_force(one, count, before, iou) for one in rows])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    if count == 62:
        assert not expected[:, -1].any(), "rows are left over"
    for i in range(3):
        np.testing.assert_allclose(layer(rows[i : i + 1], IMAGES[:1]), found[i : i + 1], atol=1e-4)


def test_candidates_list_the_cells_of_a_map():
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    found = np.asarray(kv.layers.Candidates(stride=8)(maps))
    assert found.shape == (2, 12, 7)
    for row, column in np.ndindex(3, 4):
        one = found[:, row * 4 + column]
        assert (one[:, :2] == [row * 8 + 4, column * 8 + 4]).all()
        np.testing.assert_array_equal(one[:, 2:], maps[:, row, column])


def test_no_gradient_passes():
    import tensorflow as tf

    rows = tf.constant(candidates())
    with tf.GradientTape() as tape:
        tape.watch(rows)
        total = tf.reduce_sum(kv.layers.Proposals(count=5, before=20, side=SIDE)(rows, IMAGES))
    assert total > 0 and tape.gradient(total, rows) is None


def test_a_model_with_both_is_saved(tmp_path):
    image = keras.Input((None, None, 5), name="image")
    rows = kv.layers.Candidates(stride=8)(image)
    model = keras.Model(image, kv.layers.Proposals(count=7, before=30, iou=0.4, side=20)(rows, image))
    assert rows.shape == (None, None, 7) and model.output_shape == (None, 7, 4)
    model.save(tmp_path / "x.keras")
    again = kv.load_model(tmp_path / "x.keras")
    maps = np.random.default_rng(0).normal(size=(2, 9, 7, 5)).astype("float32")
    np.testing.assert_array_equal(again(maps), model(maps))
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
