import subprocess
import sys

import forks
import keras
import pytest

import kvision as kv
from kvision import registration

ORDERS = {
    "kvision first": "import kvision, sys; assert 'keras' not in sys.modules; import keras",
    "TensorFlow between": "import kvision, tensorflow, keras",
    "keras first": "import keras, kvision",
    "a row below the layers first, which imports keras": "import kvision.ops; import keras",
    "kvision alone, keras by another": "import kvision; from keras import layers; import keras",
    **{f"{name} first, which registers": f"import {name}; import keras" for name in registration._MODULES},
}
QUICK = ("kvision first", "TensorFlow between", "keras first", f"{registration._MODULES[0]} first, which registers")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(kv.layers.Preprocess("tf")(image)))
    model.compile(kv.training.Adam())
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.mark.parametrize(
    "order", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ORDERS]
)
def test_load_model_knows_our_classes_after_import_kvision(saved, order):
    code = f"{ORDERS[order]}; m = keras.models.load_model({str(saved)!r}); print(type(m.optimizer).__module__)"
    # JAX starts in half the time
    own = None if order in ("kvision first", "TensorFlow between") else forks.jax_environment()
    result = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True)
    assert result.stdout.strip() == "kvision.training.optimizers", result.stderr


def test_control_without_kvision_it_does_not_load(saved):
    code = f"import keras; keras.models.load_model({str(saved)!r})"
    own = forks.jax_environment()
    result = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True)
    assert result.returncode != 0 and "Could not locate class" in result.stderr
