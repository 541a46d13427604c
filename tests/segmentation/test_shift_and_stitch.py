import numpy as np
import pytest
from windowed import RANDOM, crops, valid

from kvision.checks import UserError
from kvision.segmentation import WindowGrid, convolutionalize, shift_and_stitch, window_grid

IMAGE = RANDOM.uniform(0, 1, (41, 47, 3)).astype("float32")


@pytest.mark.parametrize(("head", "batch_size"), [("flatten", 5), ("average", 64)])
def test_every_window_at_stride_1(head, batch_size):
    model = valid(head)
    convolutional = convolutionalize(model)
    grid = window_grid(model, convolutional)
    found = shift_and_stitch(convolutional, IMAGE, grid, batch_size=batch_size)
    expected = crops(model, IMAGE, 1)
    assert expected.shape == (10, 24, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    without = found.copy()
    without[1::4, 2::4] = shift_and_stitch(convolutional, np.roll(IMAGE, 1, axis=0), grid)[1::4, 2::4]
    assert np.abs(without - expected).max() > 1e-3, "the control: one shift off by a row"


def test_an_image_smaller_than_a_window_is_refused():
    with pytest.raises(UserError, match=r"`image`.*at least 32 x 24"):
        shift_and_stitch(convolutionalize(valid()), IMAGE[:20], WindowGrid((32, 24), (4, 4)))
    with pytest.raises(UserError, match=r"`image`.*\(height, width, 3\)"):
        shift_and_stitch(convolutionalize(valid()), IMAGE[..., 0], WindowGrid((32, 24), (4, 4)))
