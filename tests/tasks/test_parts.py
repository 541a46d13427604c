import io

import numpy as np
from PIL import Image

from kvision.tasks.parts import Bars, Boxes, Mask, Picture, png


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


def boxes(labels: list[int], names: list[str]) -> Boxes:
    count = len(labels)
    places = np.array([[10, 10 * i, 30, 10 * i + 9] for i in range(count)], "float32").reshape(count, 4)
    return Boxes(np.zeros((40, 90, 3), "uint8"), places, labels, names, [0.5] * count)


def test_boxes_count_the_objects_of_each_class():
    part = boxes([0, 1, 0, 0, 2], ["RBC", "WBC", "RBC", "RBC", "größer"])
    assert part.text(2) == "3 RBC, 1 WBC" and part.text(9) == "3 RBC, 1 WBC, 1 größer"
    assert boxes([], []).text(3) == "no objects"


def test_boxes_are_drawn_in_the_color_of_their_class():
    (kind, content), *others = boxes([0, 1, 0, 300], ["a", "b", "a", "猫"]).pictures().items()
    picture = np.asarray(Image.open(io.BytesIO(content)))
    assert kind == "boxes" and not others and picture.shape == (40, 90, 3)
    first, second, third, _ = (picture[29, 10 * i + 4].tolist() for i in range(4))
    assert first == third != second and any(first) and any(second), "no class is black"
    (blank,) = boxes([], []).pictures().values()
    assert not np.asarray(Image.open(io.BytesIO(blank))).any()
