import keras
import numpy as np
import pytest

from kvision.losses import LocatedBoxLoss, located_box_losses

SIZE = 64


def slow(truth: np.ndarray, box: np.ndarray) -> float:
    """The formulas of both papers for one box, in float64."""
    wrong = np.abs(box - truth) / SIZE
    smooth = sum(4.5 * error**2 if error < 1 / 9 else error - 1 / 18 for error in wrong)
    (ty, tx, tb, tr), (y, x, b, r) = truth, np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])
    inside = max(0, min(tb, b) - max(ty, y)) * max(0, min(tr, r) - max(tx, x))
    iou = inside / ((tb - ty) * (tr - tx) + (b - y) * (r - x) - inside)
    centers = ((ty + tb) - (y + b)) ** 2 / 4 + ((tx + tr) - (x + r)) ** 2 / 4
    diagonal = (max(tb, b) - min(ty, y)) ** 2 + (max(tr, r) - min(tx, x)) ** 2
    v = 4 / np.pi**2 * (np.arctan((tr - tx) / (tb - ty)) - np.arctan((r - x) / (b - y))) ** 2
    return smooth + 1 - iou + centers / diagonal + v * v / (1 - iou + v + 1e-12)


def losses(objects, boxes) -> np.ndarray:
    found = located_box_losses(np.array(objects, "float32"), np.array(boxes, "float32"), image_size=SIZE)
    return np.asarray(keras.ops.convert_to_numpy(found))


def some(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    start = random.uniform(0, 40, (count, 2))
    return np.concatenate([start, start + random.uniform(2, 24, (count, 2))], 1)


def test_it_is_the_sum_of_both_terms():
    truth, boxes = some(12), some(24)[12:]
    boxes[:3] = boxes[:3][:, [2, 3, 0, 1]]  # an untrained network swaps sides
    found = losses(np.append(truth, np.zeros((12, 1)), 1), boxes[:, None])
    np.testing.assert_allclose(found, [slow(*pair) for pair in zip(truth, boxes, strict=True)], rtol=1e-4)


def test_equal_boxes_cost_nothing_and_farther_boxes_cost_more():
    truth = [10, 10, 30, 40, 2]
    moved = [[[10 + d, 10, 30 + d, 40]] for d in (0, 1, 5, 15, 30)]
    found = losses([truth] * 5, moved)
    assert abs(found[0]) < 1e-5 and (np.diff(found) > 0).all()


def test_only_the_box_of_the_true_class_counts():
    boxes = np.array([[[0, 0, 1, 1], [10, 10, 30, 40], [50, 50, 60, 60]]], "float32")
    assert abs(losses([[10, 10, 30, 40, 1]], boxes)[0]) < 1e-5
    assert losses([[10, 10, 30, 40, 0]], boxes)[0] > 1 and losses([[10, 10, 30, 40, 2]], boxes)[0] > 1


@pytest.mark.parametrize("box", [[32, 32, 32, 32], [0, 0, 0, 0], [20, 20, 20, 40], [64, 64, 0, 0]])
def test_boxes_without_area_have_finite_gradients(box):
    import tensorflow as tf

    boxes = tf.Variable([[box]], dtype="float32")
    with tf.GradientTape() as tape:
        loss = located_box_losses(np.array([[10, 10, 11, 11, 0]], "float32"), boxes, image_size=SIZE)
    gradient = tape.gradient(loss, boxes).numpy()
    assert np.isfinite(loss.numpy()).all() and np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_the_keras_loss_is_the_mean_and_is_serialized():
    objects, boxes = np.append(some(4), np.zeros((4, 1)), 1), some(8)[4:, None]
    loss = keras.losses.deserialize(keras.losses.serialize(LocatedBoxLoss(image_size=SIZE)))
    found = float(loss(objects.astype("float32"), boxes.astype("float32")))
    np.testing.assert_allclose(found, losses(objects, boxes).mean(), rtol=1e-5)
