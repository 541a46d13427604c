import subprocess
import sys

import numpy as np
import pytest

from kvision.checks import UserError
from kvision.export import alone

CODE = """
import sys
from kvision.export.alone import import_tensorflow

import_tensorflow()
assert "tensorflow" in sys.modules and not {"keras", "jax"} & set(sys.modules)
import keras, tensorflow as tf
from tensorflow.keras import layers
assert keras.Model is tf.keras.Model and layers.Dense is keras.layers.Dense
keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).compile("sgd", "mse")
before = dict(sys.modules)
import_tensorflow()
assert sys.modules == before
"""


def test_it_imports_neither_keras_nor_jax_and_hinders_neither():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_saved_model_is_loaded_and_a_damaged_one_is_named(exported, images, expected, tmp_path):
    found = alone.load(exported).signatures["predict"](image=images.astype("float32"))
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(UserError, match="`path` cannot be loaded"):
        alone.load(tmp_path, argument="path")
