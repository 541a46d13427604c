import io

import numpy as np
from PIL import Image

from kvision.pixels import label_colors


def test_the_palette_is_pascal_vocs():
    """The first of the development kit's VOClabelcolormap."""
    expected = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert list(label_colors.palette(7)) == expected
    assert label_colors.palette(21)[-1] == (0, 64, 128) and len(set(label_colors.palette(255))) == 255


def test_a_png_of_labels_holds_numbers_and_shows_colors():
    labels = np.array([[0, 1, 2], [255, 2, 1]], "uint8")
    image = Image.open(io.BytesIO(label_colors.to_png(labels, [(9, 9, 9), (1, 2, 3), (200, 0, 0)])))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), labels)
    shown = np.asarray(image.convert("RGB"))
    assert shown[0, 1].tolist() == [1, 2, 3] and shown[1, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(shown, label_colors.colored(labels, [(9, 9, 9), (1, 2, 3), (200, 0, 0)]))


def test_an_overlay_is_between_image_and_colors():
    image = np.full((2, 2, 3), 100, "uint8")
    found = label_colors.overlay(image, np.array([[0, 1], [0, 1]]), [(0, 0, 0), (200, 100, 50)], opacity=0.5)
    assert found[0, 0].tolist() == [50] * 3 and found[0, 1].tolist() == [150, 100, 75]
    np.testing.assert_array_equal(label_colors.overlay(image, np.zeros((2, 2), int), [(5, 5, 5)], opacity=0), image)
