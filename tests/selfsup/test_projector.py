import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.selfsup import projector


def test_layers_of_each_method():
    kinds = lambda model: [type(layer).__name__ for layer in model.layers]  # noqa: E731
    assert kinds(projector(8, (4,))) == ["Dense"]
    assert kinds(projector(8, (6, 4))) == ["Dense", "BatchNormalization", "ReLU", "Dense"]
    assert kinds(projector(8, (6, 4), norm=False)) == ["Dense", "ReLU", "Dense"]
    assert projector(8, (6, 4)).output_shape == (None, 4)
    assert projector(8, (6, 4)).layers[1].epsilon == 1e-5
    # a bias before a normalization does nothing
    assert projector(8, (6, 4)).count_params() == 8 * 6 + 4 * 6 + 6 * 4 + 4


def test_what_comes_out_is_float32_under_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = projector(8, (6, 4))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model(np.ones((2, 8), "float32")).dtype == "float32" and model.layers[0].compute_dtype == "float16"


def test_no_size_is_refused():
    with pytest.raises(UserError, match="`sizes`"):
        projector(8, ())
