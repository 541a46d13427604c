import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.losses import CandidateLoss, candidate_losses
from kvision.ops import cells, rotated_boxes

SIDE, STRIDE = 32.0, 4
HEIGHT, WIDTH = 12, 14  # cells


def places() -> np.ndarray:
    return np.asarray(cells.centers(np.zeros((1, HEIGHT, WIDTH, 1)), STRIDE))


def candidates(batch: int, *, rotated: bool = False, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(batch, HEIGHT * WIDTH, 7 if rotated else 5))
    return np.concatenate([np.broadcast_to(places(), (batch, *places().shape)), values], -1).astype("float32")


def objects(*images: list, columns: int = 5) -> np.ndarray:
    found = np.zeros((len(images), 4, columns), "float32")
    found[..., -1] = -1
    for rows, image in zip(found, images, strict=True):
        rows[: len(image)] = np.reshape(image, (-1, columns))
    return found


PLAIN = objects(
    [[4, 6, 40, 50, 0], [10, 20, 22, 36, 2], [0, 0, 9, 7, 1]],  # the second one is inside the first one
    [[20.5, 30.5, 21.5, 31.5, 1]],  # one pixel: only the cells next to its center
    [],
    [[3, 3, 3, 9, 1], [-20, -20, 70, 90, 0]],  # without area, and larger than the image
)
TURNED = objects(
    [[24, 28, 12, 40, 0.5, 0], [24, 30, 8, 8, -2.0, 1]],
    [[24, 28, 40, 12, 7.0, 2]],
    [],
    [[9, 9, 0, 5, 0.3, 1], [10, 12, 6, 20, 1.5, 0]],
    columns=6,
)


def frame(box) -> tuple:
    """Center, sides and the two directions of a box."""
    if len(box) == 5:
        cos, sin = np.cos(box[4]), np.sin(box[4])
        return box[:2], box[2:4], (np.array([cos, -sin]), np.array([sin, cos]))
    return (box[:2] + box[2:]) / 2, box[2:] - box[:2], (np.array([1, 0]), np.array([0, 1]))


def slow(rows: np.ndarray, found: np.ndarray) -> float:
    """The loss of one image, cell by cell."""
    errors: dict[str, list[float]] = {"object": [], "background": [], "box": []}
    for y, x, logit, *offsets in found.astype("float64"):
        mine, touched = None, False
        for *box, label in rows.astype("float64"):
            center, sides, axes = frame(np.array(box))
            if label < 0 or min(sides) <= 0:
                continue
            step = np.array([y, x]) - center
            share = max(abs(np.dot(step, axis)) / side for axis, side in zip(axes, sides, strict=True))
            hit = share <= 0.25 or np.abs(step).max() <= STRIDE / 2
            if hit and (mine is None or np.prod(sides) < np.prod(mine[1])):
                mine = center, sides, box
            touched |= share <= 0.5
        if mine is None:
            if not touched:
                errors["background"].append(np.log1p(np.exp(logit)))
            continue
        errors["object"].append(np.log1p(np.exp(-logit)))
        center, sides, box = mine
        target = [*(center - [y, x]) / SIDE, *np.log(sides / SIDE)]
        if len(box) == 5:
            target += [np.sin(2 * box[4]), np.cos(2 * box[4])]
        apart = np.abs(np.array(target) - offsets)
        errors["box"].append(np.where(apart < 1 / 9, 4.5 * apart**2, apart - 1 / 18).sum())
    total = {name: np.mean(values) if values else 0 for name, values in errors.items()}
    return float((total["object"] + total["background"]) / 2 + total["box"])


def losses(rows, found) -> np.ndarray:
    return np.asarray(candidate_losses(tf.constant(rows), tf.constant(found), side=SIDE, stride=STRIDE))


@pytest.mark.parametrize("rows", [PLAIN, TURNED], ids=["plain", "rotated"])
def test_equals_a_slow_loop(rows):
    found = candidates(4, rotated=rows.shape[-1] == 6)
    expected = [slow(*pair) for pair in zip(rows, found, strict=True)]
    np.testing.assert_allclose(losses(rows, found), expected, rtol=1e-4)
    for i in range(4):
        alone = losses(rows[i : i + 1], found[i : i + 1])
        np.testing.assert_allclose(alone, expected[i : i + 1], rtol=1e-4)


def test_a_cell_belongs_to_the_smaller_one_of_two_objects():
    rows, found = PLAIN[:1], candidates(1)
    shared = np.abs(places() - [16, 28]).max(1) < 3  # in the middle of the second object
    inner, outer = (cells.encode(rows[0, [i] * sum(shared), :4], places()[shared], SIDE) for i in (1, 0))
    found[0, :, 2:] = 0
    lost = {}
    for name, target in (("inner", inner), ("outer", outer)):
        found[0, shared, 3:] = target
        lost[name] = losses(rows, found)[0]
    assert lost["inner"] < lost["outer"]


def test_perfect_candidates_have_no_loss():
    rows, found = objects([[8, 8, 40, 48, 1]]), candidates(1)
    share = np.asarray(cells.inside(places(), tf.constant(rows[0, :1, :4])))[:, 0]
    found[0, :, 2] = np.where(share <= 0.25, 50, -50)
    found[0, :, 3:] = cells.encode(np.repeat(rows[0, :1, :4], len(found[0]), 0), places(), SIDE)
    assert losses(rows, found)[0] < 1e-5
    between = (share > 0.25) & (share <= 0.5)
    assert between.any()
    found[0, between, 2] = 50  # the outer part of an object does not count
    assert losses(rows, found)[0] < 1e-5
    found[0, :, 3] += 1
    assert losses(rows, found)[0] > 0.9, "control"


@pytest.mark.parametrize("rows", [PLAIN, TURNED], ids=["plain", "rotated"])
def test_gradients_are_finite(rows):
    found = tf.constant(candidates(4, rotated=rows.shape[-1] == 6) * [1, 1, *[30] * (5 if rows.shape[-1] == 5 else 7)])
    found = tf.cast(found, "float32")
    with tf.GradientTape() as tape:
        tape.watch(found)
        total = tf.reduce_sum(candidate_losses(tf.constant(rows), found, side=SIDE, stride=STRIDE))
    slope = tape.gradient(total, found).numpy()
    assert np.isfinite(slope).all() and np.isfinite(total)
    assert (np.abs(slope[..., 2:]).sum((1, 2)) > 0).all(), "images without objects learn the background"
    assert not slope[2, :, 3:].any()


def test_the_loss_of_keras_is_the_mean_and_is_saved():
    loss, found = CandidateLoss(side=SIDE, stride=STRIDE), candidates(4)
    assert float(loss(PLAIN, found)) == pytest.approx(float(losses(PLAIN, found).mean()), rel=1e-5)
    again: kv.losses.CandidateLoss = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config() and isinstance(again, CandidateLoss)


def test_the_frames_of_this_test_are_those_of_the_package():
    box = TURNED[0, 0, :5]
    center, (height, width), (down, across) = frame(box)
    first = center - down * height / 2 - across * width / 2
    np.testing.assert_allclose(rotated_boxes.corners(box)[0], first, rtol=1e-5)
