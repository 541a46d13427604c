import csv

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import kvision as kv
from kvision.runs import Answers, wrong_images

PIXELS = np.arange(5 * 12, dtype="uint8").reshape(5, 2, 2, 3)
IMAGES = kv.data.from_arrays(PIXELS, [0, 1, 0, 1, 1], class_names=("a, b", "$x"), image_size=2)
ANSWERS = Answers([0, 0, 1, 1, 0], [0.9, 0.6, 0.8, 1.0, 0.8])


def test_the_list_holds_what_is_wrong_the_surest_first(tmp_path):
    assert wrong_images.write(tmp_path / "x.csv", ANSWERS, IMAGES) == 3
    rows = list(csv.reader((tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["path", "true_class", "answered_class", "probability"]
    assert rows[1:] == [["2", "a, b", "$x", "0.8000"], ["4", "$x", "a, b", "0.8000"], ["1", "$x", "a, b", "0.6000"]]


def test_none_wrong_is_an_empty_list(tmp_path):
    right = Answers(IMAGES.labels, np.ones(5))
    assert wrong_images.write(tmp_path / "x.csv", right, IMAGES) == 0
    assert (tmp_path / "x.csv").read_text().splitlines() == ["path,true_class,answered_class,probability"]


def test_a_file_is_named_by_its_path_whatever_its_folder_is_called(tmp_path):
    data = tmp_path / "\udcfc"
    for pixels, name in zip(PIXELS, ("one", "two"), strict=False):
        (data / name).mkdir(parents=True)
        Image.fromarray(pixels).save(data / name / "a.png")
    wrong_images.write(tmp_path / "x.csv", Answers([1, 1], [0.5, 0.5]), kv.data.from_folder(data, image_size=2))
    expected = bytes(tmp_path) + b"/\xfc/one/a.png,one,two,0.5000"
    assert (tmp_path / "x.csv").read_bytes().splitlines()[1:] == [expected]


def test_the_picture_shows_the_surest_with_both_classes():
    axes = wrong_images.draw(Figure().subplots(), ANSWERS, IMAGES)
    assert [text.get_text() for text in axes.texts] == [
        "a, b\nas $x (0.80)",
        "$x\nas a, b (0.80)",
        "$x\nas a, b (0.60)",
    ]
    np.testing.assert_array_equal(axes.images[0].get_array(), PIXELS[2])
