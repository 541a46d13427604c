"""MediaPipe Tasks, which phones run: they read the exported `.tflite` with nothing but its metadata."""

import os
import subprocess
import venv
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.export import saved_model
from kvision.export.litert import Runner
from kvision.pixels import pillow
from kvision.tasks import Segmentation, signatures

pytestmark = pytest.mark.slow

LABELS = ["sky", "größer", "road", "car"]


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """A Python with mediapipe 1.2.3: KVISION_MEDIAPIPE_PYTHON, or a new environment."""
    if given := os.environ.get("KVISION_MEDIAPIPE_PYTHON"):
        return given
    folder = tmp_path_factory.mktemp("mediapipe")
    venv.create(folder, with_pip=True)
    install = [folder / "bin/python", "-m", "pip", "install", "-q", "mediapipe==1.2.3"]
    if subprocess.run(install, capture_output=True).returncode != 0:
        pytest.skip("needs a package index with mediapipe 1.2.3")
    return str(folder / "bin/python")


@pytest.fixture(scope="module")
def photographs(shared) -> list[np.ndarray]:
    files = sorted((shared / "data/camvid").rglob("*.jpg"))[:20]
    assert len(files) == 20
    return [pillow.decode(path.read_bytes()) for path in files]


def answers(python: str, kind: str, model: Path, images: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    (folder / "images").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"images/{number}.png")
    script = Path(__file__).with_name("mediapipe_answers.py")
    command = [python, script, kind, model, folder / "images", folder / "out.npz"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    found = np.load(folder / "out.npz")
    assert all(row == LABELS for row in found["names"].tolist())
    return [found[str(number)] for number in range(len(images))]


def test_image_classifier(python, photographs, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((96, 96, 3), name="image")
    x = keras.layers.Conv2D(8, 5, strides=4, activation="relu")(keras.layers.Rescaling(1 / 64)(image))
    head = keras.layers.Dense(4, activation="softmax", name="probabilities")
    model = keras.Model(image, head(keras.layers.Flatten()(x)), name="classifier")
    path = saved_model.write_tflite(signatures.functions(model), tmp_path, texts={"labels.txt": "\n".join(LABELS)})
    images = [pillow.resize(photograph, 96) for photograph in photographs]  # MediaPipe resizes by another rule
    found = answers(python, "classifier", path, images, tmp_path)
    expected = Runner(path)(np.stack(images))["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01, "control: the photographs differ"


def test_image_segmenter(python, photographs, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(8, 5, strides=2, padding="same", activation="relu")(keras.layers.Rescaling(1 / 64)(image))
    x = kv.layers.ResizeLike()(keras.layers.Conv2D(4, 3, padding="same")(x), image)
    model = keras.Model(image, keras.layers.Softmax()(x), name="segmenter")
    names = {"labels.txt": "\n".join(LABELS)}
    path = saved_model.write_tflite(Segmentation().functions(model), tmp_path, texts=names, side=160)
    runner = Runner(path)
    images = [pillow.resize(photograph, 160) for photograph in photographs]  # MediaPipe resizes to the file's size
    for mask, image in zip(answers(python, "segmenter", path, images, tmp_path), images, strict=True):
        expected = runner(image[None])["probabilities"][0]
        np.testing.assert_allclose(mask, expected, atol=1e-4)
        assert len(np.unique(expected.argmax(axis=-1))) > 1, "control: there is something to find"
