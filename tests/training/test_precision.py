import numpy as np
import pytest
from trainings import attached

import kvision as kv
from kvision.checks import UserError


@pytest.fixture
def model():
    return attached()


@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_bfloat16", 5e-2), ("mixed_float16", 5e-3)])
def test_the_body_computes_in_half_and_keeps_its_variables(model, precision, tolerance):
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype="uint8")
    backbone = model.get_layer("body").backbone
    exact = np.asarray(backbone(images, training=False))
    kv.training.mixed(model.get_layer("body"), precision)
    half = backbone(images, training=False)
    assert str(half.dtype).endswith(f"'{precision.removeprefix('mixed_')}'>")
    error = np.abs(np.asarray(half, "float32") - exact).max() / np.abs(exact).max()
    assert 0 < error < tolerance
    assert {str(v.dtype) for v in backbone.weights} == {"float32"}
    assert model(images, training=False).numpy().dtype == np.float32 and model.layers[-1].compute_dtype == "float32"
    kv.training.mixed(model.get_layer("body"), "float32")
    np.testing.assert_array_equal(np.asarray(backbone(images, training=False)), exact)


def test_error(model):
    with pytest.raises(UserError, match="one of: float32, mixed_bfloat16, mixed_float16"):
        kv.training.mixed(model, "float16")
