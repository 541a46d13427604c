import io

import numpy as np
from PIL import Image

from kvision.tasks.parts import Bars, Mask, Picture, png


def test_bars_list_the_largest_first():
    assert Bars({"a": 0.1, "b": 0.7, "c": 0.2}).text(2) == "b 0.700   c 0.200"
    assert Bars({}).pictures() == {}


def test_pictures_are_png_files():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype("uint8")
    (content,) = Picture(image).pictures().values()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), image)
    assert content == png(image)
    labels = np.arange(35).reshape(5, 7).astype("uint8") % 2
    found = {
        kind: Image.open(io.BytesIO(data))
        for kind, data in Mask(image, labels, [(0, 0, 0), (9, 9, 9)]).pictures().items()
    }
    np.testing.assert_array_equal(np.asarray(found["mask"]), labels)
    assert np.asarray(found["overlay"]).shape == image.shape and set(found) == {"overlay", "mask"}
