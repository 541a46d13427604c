import keras
import pytest

import kvision as kv
from kvision.tasks import signatures


@pytest.fixture(scope="session")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(kv.layers.Preprocess("tf")(image))
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probabilities")(x), name="tiny")


@pytest.fixture(scope="session")
def version(model, tmp_path_factory):
    """The SavedModel `tiny/7`."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("models") / "tiny" / "7"
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(folder), signatures=signatures.served(model, signatures.functions(model)))
    return folder
