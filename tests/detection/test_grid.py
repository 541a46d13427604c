import numpy as np
import pytest

from kvision import checks
from kvision.detection import grid


def test_boxes_have_the_sizes_and_lie_inside():
    boxes = grid((100, 150), scales=(20, 50), ratios=(0.5, 2.0), step=0.5)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= np.array([100, 150]) + 1e-3).all()
    assert np.allclose(np.sqrt(sides.prod(1)), np.where(sides.prod(1) > 1000, 50, 20), rtol=1e-5)
    assert np.allclose(np.unique((sides[:, 0] / sides[:, 1]).round(3)), [0.5, 2])
    assert len(np.unique(boxes, axis=0)) == len(boxes)


def test_a_box_as_large_as_the_image_is_one_and_larger_ones_are_none():
    assert grid((64, 64), scales=[64], ratios=[1.0]).tolist() == [[0, 0, 64, 64]]
    assert grid((40, 64), scales=[64], ratios=[1.0]).shape == (0, 4)


def test_step():
    with pytest.raises(checks.UserError, match="`step`"):
        grid((10, 10), step=0)
