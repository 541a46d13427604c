import io

import numpy as np
import pytest
from PIL import Image

from kvision.checks import UserError
from kvision.pixels import ycbcr

RANDOM = np.random.default_rng(0).integers(0, 256, (20_000, 3)).astype("uint8")


@pytest.mark.parametrize("standard", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize(("span", "levels"), [("full", 1), ("studio", 3)])
def test_the_way_back(standard, span, levels):
    codes = ycbcr.to_codes(RANDOM, standard, span=span)
    error = np.abs(ycbcr.from_codes(codes, standard, span=span).astype(int) - RANDOM)
    assert error.max() <= levels
    other = "bt709" if standard == "bt601" else "bt601"
    mixed = ycbcr.from_codes(codes, other, span=span).astype(int)
    assert np.abs(mixed - RANDOM).max() > 0.05 * 255, "control: another standard"


def test_pillow_has_the_same_codes():
    image = RANDOM[:10_000].reshape(100, 100, 3)
    found = ycbcr.to_codes(image).astype(int)
    assert np.abs(found - np.asarray(Image.fromarray(image).convert("YCbCr"))).max() <= 1
    assert np.abs(found[..., [0, 2, 1]] - np.asarray(Image.fromarray(image).convert("YCbCr"))).max() > 50


def test_studio_range_of_black_white_and_blue():
    pixels = np.array([[0, 0, 0], [255, 255, 255], [0, 0, 255]])
    codes = ycbcr.to_codes(pixels, "bt709", span="studio")
    assert codes.tolist() == [[16, 128, 128], [235, 128, 128], [32, 240, 118]]


def test_a_jpeg_file_holds_these_codes():
    image = np.zeros((16, 16, 3), "uint8") + np.array([200, 30, 90], "uint8")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=100)
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        opened.draft("YCbCr", opened.size)
        assert np.abs(np.asarray(opened).astype(int) - ycbcr.to_codes(image)).max() <= 1


def test_unknown_spans_are_named():
    with pytest.raises(UserError, match="`span`"):
        ycbcr.to_codes(RANDOM, span="tv")
