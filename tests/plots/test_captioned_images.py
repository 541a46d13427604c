import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from kvision import plots
from kvision.checks import UserError


@pytest.mark.parametrize("sizes", [[(4, 8)], [(8, 4), (3, 3)] * 3])
def test_images_keep_their_shape_and_captions_are_drawn_as_they_are(sizes):
    images = [np.zeros((*size, 3), "uint8") for size in sizes]
    figure = Figure()
    axes = plots.captioned_images(figure.subplots(), images, ["$x"] * len(sizes))
    figure.savefig(io.BytesIO(), dpi=20)
    assert [text.get_text() for text in axes.texts] == ["$x"] * len(sizes)
    for size, image in zip(sizes, axes.images, strict=True):
        left, right, bottom, top = image.get_extent()
        assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0])


def test_none_is_an_error():
    with pytest.raises(UserError, match="`images` are empty"):
        plots.captioned_images(Figure().subplots(), [], [])
