import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

from kvision.pixels.tones import tone
from kvision.sepia import sepia


def jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())))


def tinted(gray: Image.Image, dark: str, light: str) -> np.ndarray:
    return np.asarray(ImageOps.colorize(gray, dark, light))


@pytest.fixture(scope="module")
def photographs(shared) -> list[np.ndarray]:
    files = sorted((shared / "data/camvid/val/images").glob("*.jpg"))[::25]
    return [*(np.asarray(Image.open(file)) for file in files), *load_sample_images().images]


def test_tones_of_photographs(photographs):
    for image in photographs:
        gray = Image.fromarray(image).convert("L")
        assert tone(image) == "color"
        assert tone(jpeg(np.asarray(gray.convert("RGB")))) == "gray"
        assert tone(jpeg(sepia(image))) == "sepia"
        assert tone(jpeg(tinted(gray, "#241a10", "#f3e3c2"))) == "sepia"
        assert tone(jpeg(tinted(gray, "#001133", "#e8f4ff"))) == "tint"


def test_a_gray_photograph_with_one_colored_object_is_in_color(photographs):
    image = np.asarray(Image.fromarray(photographs[0]).convert("L").convert("RGB")).copy()
    image[100:112, 100:118] = (255, 0, 0)
    assert tone(image) == "color"
    image[100:112, 100:115] = 90  # 36 pixels are left, a speck
    assert tone(image) == "gray"
