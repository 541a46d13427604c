import numpy as np
import pytest

from kvision.checks import UserError
from kvision.raw_pixels import RawPixels

IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 4, 4, 3)).astype("float32")


def test_raw_pixels_of_any_type_pass():
    look = RawPixels()
    for batch in (IMAGES, IMAGES.astype("uint8"), np.zeros_like(IMAGES), IMAGES / 255, IMAGES[:0], IMAGES // 255):
        look(batch)  # what is dark comes after an image that is not
    RawPixels()((IMAGES > 99).astype("uint8"))
    RawPixels()(np.zeros_like(IMAGES))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_is_named(value):
    broken, look = IMAGES.copy(), RawPixels("train")
    broken[[2, 5], 1, 2, 0] = value
    look(IMAGES)
    with pytest.raises(UserError, match=r"`train` hold NaN or infinity in image 8\..*2 such images of 6: 8, 11"):
        look(broken)
    with pytest.raises(UserError, match="in image 30"):
        look(broken, rows=np.arange(10, 70, 10))
    assert "in image 30" in str(look.failure)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES / 255, r"scaled to \[0, 1\].*Multiply"),
        (IMAGES / 127.5 - 1, r"scaled to \[-1, 1\].*Leave out"),
        ((IMAGES > 99).astype("int64"), r"scaled to \[0, 1\].*int64"),
    ],
)
def test_scaled_images_are_refused_by_the_first_batch_that_is_not_black(images, message):
    look = RawPixels()
    look(np.zeros_like(images))
    with pytest.raises(UserError, match=message):
        look(images)
