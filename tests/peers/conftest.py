"""An exported model, and what Keras says of some images, for programs that have neither Keras nor kvision."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kvision as kv


@pytest.fixture(scope="session")
def model() -> keras.Model:
    """Convolutions and batch normalization with statistics of their own, so that a lost weight shows."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(8, 3, strides=2)(kv.layers.Preprocess("tf")(image))
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, activation="relu6")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probabilities")(x), name="small")
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) * (weight + 0.1) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory) -> Path:
    return kv.export.write(model, tmp_path_factory.mktemp("models") / "small", task=kv.tasks.Classification())


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """(4, 32, 32, 3) uint8, of different brightness."""
    noise = np.random.default_rng(0).integers(0, 64, (4, 32, 32, 3))
    return (noise + 60 * np.arange(4)[:, None, None, None]).astype("uint8")


@pytest.fixture(scope="session")
def expected(model, images) -> np.ndarray:
    rows = model.predict_on_batch(images.astype("float32"))
    assert np.abs(rows - rows[0]).max() > 0.01, "the control: images that all give the same show nothing"
    return rows


@pytest.fixture(scope="session")
def files(images, tmp_path_factory) -> list[Path]:
    """images[0], no bytes, a torn file, images[3]."""
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / f"{i}.png" for i in range(4)]
    for path, image in zip(paths, images, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
    paths[1].write_bytes(b"")
    paths[2].write_bytes(paths[2].read_bytes()[:80])
    return paths
