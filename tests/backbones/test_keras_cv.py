import re
import sys

import forks
import keras
import numpy as np
import pytest
from contracts import same_in_tflite

import kvision as kv
from kvision.backbones.keras_cv import _TABLE
from kvision.checks import UserError

COUNTS = {"ResNet18V2": 11_183_488, "ResNet34V2": 21_299_072, "CSPDarkNetTiny": 2_380_416}
NAMES = (*(pytest.param(name, marks=pytest.mark.slow) for name in ("ResNet18V2", "ResNet34V2")), "CSPDarkNetTiny")


@pytest.mark.parametrize("name", NAMES)
def test_plain_keras_layers_with_the_parameters_of_keras_cv(name):
    model = kv.backbones.keras_cv(name, image_size=64)
    assert model.count_params() == COUNTS[name] and model.output_shape[1:3] == (2, 2)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras", "kvision"}  # `Preprocess`
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model | keras.layers.Lambda)]


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_of_keras_cv(name):
    import keras_cv

    kind, options = _TABLE[name]
    theirs = getattr(keras_cv.models, kind)(include_rescaling=True, input_shape=(64, 64, 3), **options)
    ours = kv.backbones.keras_cv(name, image_size=64)
    random = np.random.default_rng(0)
    for weight, other in zip(_in_order(ours), _in_order(theirs), strict=True):
        assert weight.shape == other.shape
        value = random.uniform(0.5, 1.5, weight.shape) / np.prod(weight.shape[:-1])
        weight.assign(value)
        other.assign(value)
    images = random.integers(0, 256, (2, 64, 64, 3)).astype("float32")
    expected = np.asarray(theirs(images, training=False))
    assert np.abs(np.asarray(ours(images, training=False)) - expected).max() < 1e-5 * np.abs(expected).max()


def _in_order(model: keras.Model) -> list[keras.Variable]:
    """conv_block1, conv_block2 ... count on within a process: their order is the same, as numbers."""

    def key(weight):
        parts = re.split(r"(\d+)", "/".join(weight.path.split("/")[-2:]))
        return [int(part) if part.isdigit() else part for part in parts]

    return sorted(model.weights, key=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet18V2", "CSPDarkNetTiny"])
def test_tflite_with_builtin_operations(name):
    same_in_tflite(kv.backbones.keras_cv(name, image_size=64))


ELSEWHERE = """
import sys, kvision, keras, numpy as np
kvision.backbones.available()
print("keras_cv" in sys.modules)
model = kvision.load_model(sys.argv[1] + "/model.keras")
np.save(sys.argv[1] + "/features.npy", model(np.load(sys.argv[1] + "/images.npy"), training=False))
print("keras_cv" in sys.modules)
"""


def test_a_saved_file_needs_no_keras_cv(tmp_path):
    model = kv.backbones.create("CSPDarkNetTiny", image_size=64, pooling="avg")
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    result = forks.run([sys.executable, "-c", ELSEWHERE, tmp_path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.split() == ["False", "False"], "neither the zoo nor the file"
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), model(images, training=False), atol=1e-6)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(UserError, match=r"extra `cv`, which is not installed.*pip install .*\[cv\]"):
        kv.backbones.create("ResNet18V2")


def test_errors():
    with pytest.raises(UserError, match="Did you mean 'ResNet18V2'"):
        kv.backbones.keras_cv("resnet18v2")
