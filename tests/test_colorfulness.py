import io

import numpy as np
from PIL import Image

from kvision.colorfulness import colorfulness, has_color


def test_against_the_paper_step_by_step():
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype("uint8")
    rg, yb = [], []
    for red, green, blue in image.reshape(-1, 3).tolist():
        rg.append(red - green)
        yb.append(0.5 * (red + green) - blue)

    def deviation(values):
        mean = sum(values) / len(values)
        return (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5

    spread = (deviation(rg) ** 2 + deviation(yb) ** 2) ** 0.5
    mean = ((sum(rg) / len(rg)) ** 2 + (sum(yb) / len(yb)) ** 2) ** 0.5
    assert abs(colorfulness(image) - (spread + 0.3 * mean)) < 1e-9


def test_gray_has_none_and_saturation_raises_it():
    image = np.random.default_rng(0).integers(64, 192, (9, 11, 3)).astype("float64")
    gray = image.mean(axis=2, keepdims=True) * np.ones(3)
    found = [colorfulness(gray + share * (image - gray)) for share in (0.0, 0.5, 1.0)]
    assert found[0] < 1e-9 and abs(found[2] - 2 * found[1]) < 1e-9


def test_a_gray_jpeg_has_no_color_and_a_pale_photograph_has():
    pixels = np.random.default_rng(0).integers(60, 200, (40, 40, 1)).repeat(3, 2).astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    assert not has_color(np.asarray(Image.open(buffer)))
    assert has_color(pixels + np.array([8, 0, 0], "uint8"))
