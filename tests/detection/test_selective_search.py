import numpy as np
import pytest

from kvision import checks
from kvision.detection import Objects, grid, recall, selective_search
from kvision.ops import boxes as plain

pytest.importorskip("cv2")


def planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured ground with rectangles of several aspects in other colors, apart from each other."""
    random = np.random.default_rng(seed)
    image = np.full((120, 160, 3), random.integers(60, 120, 3)) + random.integers(0, 8, (120, 160, 3))
    boxes = []
    for cell in ((0, 0), (0, 80), (60, 0), (60, 80)):
        high, wide = random.integers(22, 50), random.integers(22, 70)
        top, left = cell[0] + random.integers(0, 58 - high), cell[1] + random.integers(0, 78 - wide)
        image[top : top + high, left : left + wide] = random.integers(130, 245, 3) + random.integers(
            0, 8, (high, wide, 3)
        )
        boxes.append([top, left, top + high, left + wide])
    return image.astype("uint8"), np.array(boxes, "float32")


def test_covers_planted_rectangles_better_than_as_many_boxes_of_a_grid():
    for seed in range(3):
        image, boxes = planted(seed)
        found = selective_search(image, width=None)
        assert np.asarray(plain.iou(found, boxes)).max(0).min() > 0.8
        drawn = [Objects(boxes, np.zeros(4, int))]
        coarse = grid((120, 160))
        coarse = coarse[np.random.default_rng(0).permutation(len(coarse))[: len(found)]]
        assert recall([found], drawn, [5000], iou=0.7) > recall([coarse], drawn, [5000], iou=0.7)


def test_the_order_follows_from_the_seed():
    image, _ = planted(0)
    first, again, other = (selective_search(image, seed=seed, count=30) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    whole = selective_search(image, count=10_000)
    assert len(whole) > 30 and len(np.unique(whole, axis=0)) == len(whole)
    assert (whole >= 0).all() and (whole[:, 2] <= 120.01).all() and (whole[:, 3] <= 160.01).all()


def test_large_boxes_tend_to_come_first_and_small_ones_are_left_out():
    image, _ = planted(0)
    found = selective_search(image, width=None, smallest=25)
    sides = found[:, 2:] - found[:, :2]
    assert sides.min() >= 25
    area, half = sides.prod(1), len(found) // 2
    assert np.median(area[:half]) > np.median(area[half:])


def test_wrong_arguments():
    with pytest.raises(checks.UserError, match="`mode`"):
        selective_search(np.zeros((10, 10, 3), "uint8"), mode="slow")
