import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


@pytest.mark.parametrize("size", [8, 7])
def test_subsamples_then_pads_with_zeros(size):
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    layer = kv.layers.ZeroPaddedShortcut(5, stride=2)
    half = -(-size // 2)
    expected = np.zeros((2, half, half, 5), "float32")
    for row in range(half):
        for column in range(half):
            expected[:, row, column, :3] = x[:, 2 * row, 2 * column]
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.weights == [] and layer.compute_output_shape((None, size, size, 3)) == (None, half, half, 5)
    np.testing.assert_array_equal(kv.layers.ZeroPaddedShortcut(3)(x), x)


def test_keeps_its_dtype_and_its_settings():
    layer = kv.layers.ZeroPaddedShortcut(4, stride=3, name="skip", dtype="mixed_float16")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (copy.channels, copy.stride, copy.name) == (4, 3, "skip")
    assert keras.backend.standardize_dtype(copy(np.zeros((1, 6, 6, 2), "float16")).dtype) == "float16"


def test_errors():
    with pytest.raises(UserError, match="`channels`"):
        kv.layers.ZeroPaddedShortcut(2)(np.zeros((1, 4, 4, 3), "float32"))
    with pytest.raises(UserError, match="`stride`"):
        kv.layers.ZeroPaddedShortcut(2, stride=0)
