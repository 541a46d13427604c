"""The usual sepia tone, on real photographs."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from kvision import luma_chroma, sepia


def jpeg(image: np.ndarray, quality: int = 75) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())))


@pytest.fixture(scope="module")
def photographs(shared) -> list[np.ndarray]:
    files = sorted((shared / "data/camvid/val/images").glob("*.jpg"))[::20]
    return [*(np.asarray(Image.open(file)) for file in files), *load_sample_images().images]


def test_the_matrix_is_the_usual_one():
    pixels = np.array([[255, 0, 0], [0, 100, 0], [255, 255, 255], [10, 20, 30]])
    expected = []
    for r, g, b in pixels:
        rows = (0.393 * r + 0.769 * g + 0.189 * b, 0.349 * r + 0.686 * g + 0.168 * b, 0.272 * r + 0.534 * g + 0.131 * b)
        expected.append([min(255, round(value)) for value in rows])
    np.testing.assert_array_equal(sepia.sepia(pixels), expected)


def test_sepia_is_recognized_and_color_and_gray_are_not(photographs):
    import keras

    for image in photographs:
        gray = np.repeat(luma_chroma.luma(image).round().astype("uint8"), 3, axis=2)
        toned = sepia.sepia(image)
        cases = {True: [toned, jpeg(toned)], False: [image, gray, jpeg(gray), image[..., ::-1]]}
        for expected, pictures in cases.items():
            for picture in pictures:
                assert bool(sepia.is_sepia(picture[None])[0]) is expected
                tensor = keras.ops.convert_to_tensor(picture[None].astype("float32"))
                assert bool(sepia.is_sepia(tensor)[0]) is expected, "the graph and NumPy agree"


def test_sepia_is_brought_to_the_gray_before_the_tone(photographs):
    for image in photographs[:4]:
        toned = sepia.sepia(image)
        weights = sepia._MATRIX.sum(0) / sepia._MATRIX.sum()
        before = image @ weights  # the gray that the matrix tones
        found = sepia.gray(toned[None])[0, ..., 0]
        assert np.abs(found - before).max() < 1
        plain = luma_chroma.luma(toned)[..., 0]
        assert np.abs(plain - before).mean() > 5, "control: the luma of the toned picture is brighter"
        np.testing.assert_array_equal(sepia.gray(image[None])[0], luma_chroma.luma(image.astype("float32")))


@pytest.mark.parametrize("size", [(5, 7), (8, 8), (13, 30)])
def test_numpy_and_the_graph_agree_at_odd_sizes(size):
    import keras

    random = np.random.default_rng(0)
    gray = random.integers(0, 256, (2, *size, 1)) * np.ones(3)
    both = np.stack([sepia.sepia(gray[0]), random.integers(0, 256, (*size, 3))]).astype("float32")
    tensor = keras.ops.convert_to_tensor(both)
    assert sepia.is_sepia(both).tolist() == np.asarray(sepia.is_sepia(tensor)).tolist() == [True, False]
    np.testing.assert_allclose(sepia.gray(both), np.asarray(sepia.gray(tensor)), atol=1e-4)
