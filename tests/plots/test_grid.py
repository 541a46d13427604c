import numpy as np
import pytest
from matplotlib.figure import Figure

from kvision.checks import UserError
from kvision.plots.grid import image_grid


def test_five_images_take_two_rows_and_keep_their_shapes():
    axes = Figure().subplots()
    images = [np.zeros((10, 20, 3), "uint8"), *[np.zeros((20, 10, 3), "uint8")] * 4]
    places = image_grid(axes, images, below=0.5)
    assert places[0] == (0, 0) and places[3] == pytest.approx((3.3, 0)) and places[4] == pytest.approx((0, 1.6))
    wide, *_, last = (image.get_extent() for image in axes.images)
    assert wide == pytest.approx((0, 1, 0.75, 0.25)), "left, right, bottom, top"
    assert last == pytest.approx((0.25, 0.75, 2.6, 1.6))
    assert axes.get_xlim() == pytest.approx((0, 4.3)) and axes.get_ylim() == pytest.approx((3.2, 0))


def test_no_images_are_refused():
    with pytest.raises(UserError, match="`images` are empty"):
        image_grid(Figure().subplots(), [])
