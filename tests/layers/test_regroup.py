import keras
import numpy as np
import pytest

import kvision as kv


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 2, 5), (2, 0, 4)])
def test_it_undoes_the_reshape(shape):
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    rows = values.reshape(-1, *shape[2:])
    np.testing.assert_array_equal(kv.layers.Regroup()(rows, np.zeros((*shape[:2], 4))), values)


def test_a_model_with_it_is_saved(tmp_path):
    rows, reference = keras.Input((7,)), keras.Input((None, 4))
    model = keras.Model([rows, reference], kv.layers.Regroup()(rows, reference))
    assert model.output_shape == (None, None, 7)
    model.save(tmp_path / "x.keras")
    values = [np.arange(42.0).reshape(6, 7), np.zeros((2, 3, 4))]
    np.testing.assert_array_equal(kv.load_model(tmp_path / "x.keras")(values), model(values))
