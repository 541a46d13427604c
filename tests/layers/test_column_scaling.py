import keras
import numpy as np

import kvision as kv


def test_what_a_far_center_loses_in_float32_is_kept():
    center = 1e6 + np.array([0.01, 0.02])  # float32 has steps of .06 here
    layer = kv.layers.ColumnScaling.of(2, center=center, factor=[2.0, 3.0], offset=1.0)
    x = np.array([[1e6, 1e6 + 1]], "float32")
    np.testing.assert_allclose(layer(x), (x.astype("float64") - center) * [2, 3] + 1, atol=1e-6)
    assert not layer.trainable_weights


def test_clips_and_is_restored_from_its_config():
    layer = kv.layers.ColumnScaling.of(2, factor=0.5, clip=(0, 1))
    np.testing.assert_array_equal(layer(np.array([[-1.0, 3.0]], "float32")), [[0, 1]])
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(np.array([[0.5, 3.0]], "float32")), [[0.25, 1]])
