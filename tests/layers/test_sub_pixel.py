import keras
import numpy as np
import pytest
import tensorflow as tf
from upscaling import at_any_size

from kvision.checks import UserError
from kvision.layers import ICNR, SubPixelConvolution

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")


@pytest.mark.parametrize("factor", [2, 3])
def test_it_begins_as_nearest_neighbor_of_one_convolution(factor):
    layer = SubPixelConvolution(4, factor)
    found = np.asarray(layer(X))
    assert found.shape == (2, 5 * factor, 6 * factor, 4) == layer.compute_output_shape(X.shape)
    coarse = found[:, ::factor, ::factor]
    np.testing.assert_allclose(found, coarse.repeat(factor, 1).repeat(factor, 2), atol=1e-6)
    plain = keras.layers.Conv2D(4 * factor**2, 3, padding="same")(X)
    squares = np.asarray(tf.nn.depth_to_space(plain, factor)).reshape(2, 5, factor, 6, factor, 4)
    assert squares.std(axis=(2, 4)).min() > 1e-3, "the control: without ICNR it begins as a checkerboard"


def test_trained_it_is_tensorflows_depth_to_space():
    layer = SubPixelConvolution(4, 2, activation="relu")
    layer(X)
    layer.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in layer.get_weights()])
    convolved = tf.nn.relu(tf.nn.conv2d(X, layer.convolution.kernel.value, 1, "SAME") + layer.convolution.bias.value)
    np.testing.assert_allclose(layer(X), tf.nn.depth_to_space(convolved, 2), atol=1e-5)


def test_at_any_size_everywhere(tmp_path):
    at_any_size(SubPixelConvolution(4, 2, activation="relu"), tmp_path)


def test_softmax_is_of_a_pixel():
    np.testing.assert_allclose(np.sum(SubPixelConvolution(3, 2, activation="softmax")(X), axis=-1), 1, atol=1e-5)


def test_frozen_it_stays_frozen():
    layer = SubPixelConvolution(3, 2, (3, 1), activation="relu", trainable=False)
    again = SubPixelConvolution.from_config(layer.get_config())
    again.build(X.shape)
    assert not again.trainable_variables and len(again.weights) == 2 and again.get_config() == layer.get_config()


def test_arguments_are_checked():
    with pytest.raises(UserError, match=r"`factor`.*at least 1"):
        SubPixelConvolution(4, 0)
    with pytest.raises(UserError, match=r"`shape`.*multiple of 4"):
        ICNR(2)((3, 3, 1, 6))
    with pytest.raises(UserError, match=r"`factor`.*at least 1"):
        ICNR(0)
