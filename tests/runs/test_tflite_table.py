from pathlib import Path

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.export import quantize
from kvision.export.litert import Runner
from kvision.runs import tflite_table

TASK = kv.tasks.Classification(["dark", "bright"])
KINDS = ("float32", "float16", "int8")


@pytest.fixture(scope="module")
def images() -> kv.data.Images:
    """Dark and bright images of 8 pixels, 30 and 90, of which every tenth has the other's label."""
    random = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 90)
    pixels = random.normal(60 + 130 * labels[:, None, None, None], 20, (120, 8, 8, 3)).clip(0, 255).astype("uint8")
    labels[::10] = 1 - labels[::10]
    return kv.data.from_arrays(pixels, labels, class_names=("dark", "bright"), image_size=8)


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory) -> Path:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(64, 3, activation="relu", kernel_initializer="ones")(kv.layers.Preprocess("tf")(image))
    x = keras.layers.Conv2D(64, 3, activation="relu", kernel_initializer="ones")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    head = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(image, head(x), name="brightness")
    head.set_weights([np.array([[-1e-4, 1e-4]] * 64), np.array([1.0, -1.0])])
    some = tflite_table.representatives(images)
    version = kv.export.write(model, tmp_path_factory.mktemp("models"), task=TASK, tflite=KINDS, representatives=some)
    return version / "assets.extra"


def test_the_numbers_are_those_of_the_files(folder, images):
    table = tflite_table.measure(TASK, folder, KINDS, images)
    assert list(table) == list(KINDS)
    pixels = np.concatenate([batch for batch, _ in images])
    answers = {
        kind: Runner(folder / quantize.file_name(kind))(pixels)["probabilities"].argmax(axis=1) for kind in KINDS
    }
    for kind, row in table.items():
        assert row["accuracy"] == (answers[kind] == images.labels).mean() and row["images"] == 120
        assert row["agreement"] == (answers[kind] == answers["float32"]).mean()
        low, high = row["interval"]
        assert 0 < low < row["accuracy"] < high < 1
        assert row["megabytes"] == (folder / quantize.file_name(kind)).stat().st_size / 1e6
        assert 0 < row["milliseconds"] < 1000
    assert table["float32"]["accuracy"] == pytest.approx(0.9) and table["float32"]["agreement"] == 1
    assert table["int8"]["megabytes"] < table["float16"]["megabytes"] < table["float32"]["megabytes"]


def test_at_most_so_many_images_and_as_many_of_each_class(folder, images):
    assert 40 <= tflite_table.measure(TASK, folder, ("float32",), images, limit=50)["float32"]["images"] <= 50
    some = tflite_table.representatives(images, count=20)
    assert some.shape == (20, 8, 8, 3) and some.dtype == np.uint8
    rows = [np.flatnonzero([np.array_equal(pixels, one) for pixels in _pixels(images)])[0] for one in some]
    assert np.bincount(images.labels[rows]).tolist() == [10, 10]
    assert len(tflite_table.representatives(images)) == 120, "all, where there are no more"
    assert len(tflite_table.representatives(images, count=1)) == 1, "more classes than images"


def _pixels(images) -> np.ndarray:
    return np.concatenate([batch for batch, _ in images])


def test_lines_for_the_terminal():
    assert tflite_table.lines({}, "accuracy") == []
    row = {"accuracy": 0.75, "interval": [0.7, 0.8], "agreement": 0.5, "megabytes": 3.14159, "milliseconds": 0.4321}
    head, line = tflite_table.lines({"int8": {**row, "images": 300}}, "accuracy")
    assert "300 test images" in head
    assert line.split() == ["int8", "0.7500", "0.700", "-", "0.800", "0.5000", "3.14", "0.43", "model_int8.tflite"]
