import keras
import numpy as np
import pytest
import tensorflow as tf

from kvision.losses import RegionLoss, region_losses
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

CLASSES = 3


def scene(*, rotated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Objects and regions of 4 images: with two objects that overlap, one, none, and one without regions."""
    random = np.random.default_rng(0)
    size = 5 if rotated else 4
    objects = np.zeros((4, 3, size + 1), "float32")
    objects[..., -1] = -1
    first = [30, 40, 20, 30, 0.4] if rotated else [20, 25, 40, 55]
    second = [33, 44, 20, 28, 0.6] if rotated else [24, 30, 43, 58]
    objects[0, :2] = [[*first, 2], [*second, 0]]
    objects[1, 1] = [*first, 1]  # after an unused row
    objects[3, 0] = [*second, 1]
    near = np.concatenate([np.array([first] * 5 + [second] * 5), random.uniform(5, 60, (10, size))])
    near[10:, 2:4] = near[10:, 2:4] if rotated else near[10:, :2] + random.uniform(5, 30, (10, 2))
    boxes = np.stack([near + random.normal(0, 1.5, near.shape) * ([1] * 4 + [0.1])[:size] for _ in range(4)])
    boxes[:, -4:] = 0  # unused rows
    boxes[0, -5, 2:4] = boxes[0, -5, :2] if not rotated else (0, 3)  # no area
    boxes[3] = 0
    logits = random.normal(0, 2, (4, 20, 1 + CLASSES))
    return objects, np.concatenate([boxes, logits], -1).astype("float32")


def slow(objects: np.ndarray, regions: np.ndarray) -> float:
    size = objects.shape[-1] - 1
    geometry = rotated_boxes if size == 5 else plain
    found: dict[bool, list[float]] = {True: [], False: []}
    overlaps = np.asarray(geometry.iou(regions[:, :size], objects[:, :size]))
    for row, shares in zip(regions, overlaps, strict=True):
        box, logits = row[:size], row[size:].astype("float64")
        if min(box[2:4] if size == 5 else box[2:] - box[:2]) <= 0:
            continue
        best, label = 0.0, -1
        for own, overlap in zip(objects[:, -1], shares, strict=True):
            if own >= 0 and overlap > best:
                best, label = overlap, int(own)
        wanted = label + 1 if best >= 0.5 else 0
        found[wanted > 0].append(np.log(np.exp(logits).sum()) - logits[wanted])
    positive, other = (np.mean(found[key]) if found[key] else 0.0 for key in (True, False))
    return float(0.25 * positive + 0.75 * other)


@pytest.mark.parametrize("rotated", [False, True])
def test_equals_a_slow_loop(rotated):
    objects, regions = scene(rotated=rotated)
    found = np.asarray(region_losses(tf.constant(objects), tf.constant(regions)))
    expected = [slow(*pair) for pair in zip(objects, regions, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[3] == 0 and min(found[:3]) > 0
    for i in range(4):
        np.testing.assert_allclose(region_losses(objects[i : i + 1], regions[i : i + 1]), found[i : i + 1], rtol=1e-5)


def test_the_larger_overlap_decides_and_half_of_it_is_enough():
    objects = np.array([[[0, 0, 10, 10, 0], [0, 0, 10, 20, 1], [0, 0, 0, 0, -1]]], "float32")

    def label(box) -> int:
        losses = [
            float(region_losses(objects, np.array([[[*box, *np.eye(3)[i] * 20]]], "float32"))[0]) for i in range(3)
        ]
        return int(np.argmin(losses)) - 1

    assert label([0, 0, 10, 12]) == 0 and label([0, 0, 10, 17]) == 1
    assert label([0, 0, 10, 5.1]) == 0 and label([0, 0, 10, 4.9]) == -1
    assert label([0, 0, 10, 39]) == 1 and label([0, 0, 10, 41]) == -1


def test_weights_do_not_depend_on_the_number_of_regions():
    objects = np.array([[[0, 0, 10, 10, 0]]], "float32")
    hit, miss = [0, 0, 10, 10, 0, 3, 1], [20, 20, 30, 30, 1, 2, 0]
    few, many = np.array([[hit, miss]], "float32"), np.array([[hit] * 2 + [miss] * 50], "float32")
    np.testing.assert_allclose(region_losses(objects, few), region_losses(objects, many), rtol=1e-5)


@pytest.mark.parametrize("rotated", [False, True])
def test_gradients_are_finite_and_leave_boxes_alone(rotated):
    objects, regions = scene(rotated=rotated)
    regions = tf.constant(regions)
    with tf.GradientTape() as tape:
        tape.watch(regions)
        total = tf.reduce_sum(region_losses(tf.constant(objects), regions))
    slope = tape.gradient(total, regions).numpy()
    size = 5 if rotated else 4
    assert np.isfinite(slope).all() and not slope[..., :size].any() and not slope[3].any()
    assert np.abs(slope[0, :10, size:]).sum(-1).min() > 0 and not slope[0, -5:].any()


def test_the_loss_of_keras_is_the_mean_and_is_saved():
    objects, regions = scene(rotated=False)
    expected = np.asarray(region_losses(objects, regions)).mean()
    loss = keras.losses.deserialize(keras.losses.serialize(RegionLoss(name="regions")))
    assert float(loss(objects, regions)) == pytest.approx(float(expected), rel=1e-5) and loss.name == "regions"
