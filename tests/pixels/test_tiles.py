import numpy as np
import pytest

from kvision.pixels import tiles


def test_the_last_window_ends_at_the_border():
    assert tiles.starts(10, 4, 3).tolist() == [0, 3, 6]
    assert tiles.starts(11, 4, 3).tolist() == [0, 3, 6, 7]
    assert tiles.starts(4, 4, 100).tolist() == [0]


@pytest.mark.parametrize("size", [(23, 31), (10, 10), (7, 40), (1, 1)])
def test_tiles_cover_the_image_and_hold_every_small_object_whole(size):
    tile, overlap = 10, 3
    found = tiles.places(size, tile, overlap)
    sides = found[:, 2:] - found[:, :2]
    assert (sides == np.minimum(tile, size)).all() and found.min() >= 0 and (found[:, 2:] <= size).all()
    covered = np.zeros(size, bool)
    for top, left, bottom, right in found:
        covered[top:bottom, left:right] = True
    assert covered.all()
    for top in range(max(size[0] - overlap, 0) + 1):
        for left in range(max(size[1] - overlap, 0) + 1):
            end = np.minimum([top + overlap, left + overlap], size)
            whole = (found[:, :2] <= (top, left)).all(1) & (found[:, 2:] >= end).all(1)
            assert whole.any()


def test_one_pixel_less_overlap_cuts_an_object():
    found = tiles.places((10, 17), 10, 3)
    assert found[:, [1, 3]].tolist() == [[0, 10], [7, 17]]
    assert not ((found[:, 1] <= 6) & (found[:, 3] >= 11)).any(), "an object of 5 pixels at 6"
