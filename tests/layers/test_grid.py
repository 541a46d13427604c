import keras
import numpy as np
import pytest
from keras import ops
from upscaling import at_any_size

import kvision as kv


def test_shares_become_pixels_of_each_image():
    layer = kv.layers.Grid([[0, 0.5, 0.5, 1], [0.25, 0, 1, 0.1]])
    found = np.asarray(layer(np.zeros((2, 40, 60, 3))))
    np.testing.assert_allclose(found, [[[0, 30, 20, 60], [10, 0, 40, 6]]] * 2, atol=1e-5)


def test_rotated_boxes_keep_shape_and_angle():
    found = kv.layers.Grid([[0.5, 0.25, 0.1, 0.2, 0.7]])(np.zeros((1, 40, 90, 3)))
    np.testing.assert_allclose(found, [[[20, 22.5, 6, 12, 0.7]]], rtol=1e-5)


@pytest.mark.parametrize("box", [[0.1, 0.2, 0.5, 0.7], [0.5, 0.5, 0.1, 0.3, 0.4]], ids=len)
def test_at_any_size_everywhere(tmp_path, box):
    layer = kv.layers.Grid([box] * 3)
    assert kv.layers.Grid.from_config(layer.get_config()).shares.tolist() == layer.shares.tolist()
    assert layer(keras.Input((None, None, 3))).shape == (None, 3, len(box))
    at_any_size(lambda image: layer(image) + ops.mean(image), tmp_path)
