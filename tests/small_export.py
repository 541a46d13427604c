import subprocess

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.export import reloaded

SIZE = 32
LABELS = ["Hund", "猫", "o l w"]


@pytest.fixture(scope="session")
def model() -> keras.Model:
    """A small classifier with everything that must be off when it is served: noise, dropout, batch statistics."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.RandomFlip("horizontal_and_vertical", name="flip")(image)
    x = kv.layers.Preprocess("tf")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probabilities")(x), name="small")


@pytest.fixture(scope="session")
def other(model) -> keras.Model:
    """The same graph with other weights."""
    clone = keras.models.clone_model(model)
    clone.set_weights([1.5 * weight + 0.1 for weight in model.get_weights()])
    return clone


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype="uint8")


@pytest.fixture(scope="session")
def expected(model, images) -> np.ndarray:
    return model.predict_on_batch(images.astype("float32"))


@pytest.fixture(scope="session")
def exported(model, images, tmp_path_factory):
    """A version folder as `kv.export.write` leaves it, beside an older one and what is none."""
    folder = tmp_path_factory.mktemp("models") / "small"
    for beside in ("7", "runs"):
        (folder / beside).mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reloaded, "subprocess", subprocess)  # checked in a process that is really fresh
        return kv.export.write(model, folder, task=kv.tasks.Classification(LABELS), card="# card", probe=images)
