import keras
import numpy as np
import pytest
import tensorflow as tf
from upscaling import adjoint, at_any_size

from kvision.checks import UserError
from kvision.layers import BilinearKernel, TransposedConvolution

RANDOM = np.random.default_rng(0)


def constant(kernel_size, strides) -> np.ndarray:
    layer = TransposedConvolution(1, kernel_size, strides, kernel_initializer="ones")
    return np.unique(np.asarray(layer(np.ones((1, 9, 9, 1), "float32")))[0, 8:-8, 8:-8])


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(12, 12), (13, 7), (9, 10), (1, 5)])
def test_it_is_the_transpose_of_a_convolution_and_brings_its_size_back(stride, kernel, size):
    down = keras.layers.Conv2D(4, kernel, stride, padding="same", use_bias=False)
    x = RANDOM.normal(size=(2, *size, 3)).astype("float32")
    y = np.asarray(down(x))
    up = TransposedConvolution(3, kernel, stride, use_bias=False)
    assert up(y, x).shape == x.shape == up.compute_output_shape(y.shape, x.shape)
    up.kernel.assign(down.kernel)  # (k, k, 3, 4): out, in
    adjoint(down, lambda y: up(y, x), x, RANDOM.normal(size=y.shape).astype("float32"))


def test_without_a_reference_it_is_keras_own():
    x = RANDOM.normal(size=(2, 5, 6, 3)).astype("float32")
    ours, keras_own = TransposedConvolution(4, 4, 2), keras.layers.Conv2DTranspose(4, 4, 2, padding="same")
    ours.build(x.shape)
    keras_own.build(x.shape)
    keras_own.set_weights([w + 0.1 for w in ours.get_weights()])
    ours.set_weights(keras_own.get_weights())
    np.testing.assert_allclose(ours(x), keras_own(x), atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_a_bilinear_kernel_is_a_resize_but_for_the_rim(factor):
    x = RANDOM.normal(size=(1, 7, 8, 3)).astype("float32")
    size = 2 * factor - factor % 2
    up = TransposedConvolution(3, size, factor, use_bias=False, kernel_initializer=BilinearKernel())
    found, expected = np.asarray(up(x)), np.asarray(tf.image.resize(x, (7 * factor, 8 * factor)))
    inside = slice(factor, -factor)
    np.testing.assert_allclose(found[:, inside, inside], expected[:, inside, inside], atol=1e-6 * np.abs(x).max())
    assert np.abs(found - expected).max() > 0.05, "the control: the rim sees zeros"


def test_a_kernel_that_strides_divide_lays_down_no_checkerboard():
    assert len(constant(4, 2)) == len(constant(2, 2)) == len(constant(6, 3)) == 1
    assert constant(3, 2).tolist() == [1, 2, 4]


def test_at_any_size_everywhere(tmp_path):
    def make(image):
        coarse = keras.layers.Conv2D(4, 3, 2, padding="same")(image)
        return TransposedConvolution(3, 4, 2, activation="relu")(coarse, image)

    at_any_size(make, tmp_path)


def test_frozen_it_stays():
    layer = TransposedConvolution(2, 4, 2, kernel_initializer=BilinearKernel(), trainable=False)
    layer.build((None, None, None, 2))
    again = TransposedConvolution.from_config(layer.get_config())
    again.build((None, None, None, 2))
    assert not layer.trainable_variables and not again.trainable_variables and len(again.weights) == 2
    np.testing.assert_array_equal(again.kernel, layer.kernel)


def test_a_reference_of_another_size_is_refused():
    with pytest.raises(UserError, match=r"`reference`.*\(5, 5\).*Received: \(1, 30, 30, 1\)"):
        TransposedConvolution(2)(np.zeros((1, 5, 5, 3), "float32"), np.zeros((1, 30, 30, 1), "float32"))


@pytest.mark.parametrize("shape", [(4, 3, 2, 2), (4, 4, 2, 3)])
def test_a_kernel_that_mixes_channels_is_not_bilinear(shape):
    with pytest.raises(UserError, match=r"`shape`.*square kernel"):
        BilinearKernel()(shape)


def test_a_bilinear_kernel_has_the_sizes_that_interpolate():
    """Every size up to 16: the values that a coarse map of ones is enlarged to are ones, or the size is refused."""
    for size in range(1, 17):
        factor = -(-size // 2)
        if size != 2 * factor - factor % 2:
            with pytest.raises(UserError, match=r"`shape` has a kernel size.*1, 4, 5, 8, 9"):
                BilinearKernel()((size, size, 1, 1))
            continue
        kernel = np.asarray(BilinearKernel()((size, size, 1, 1)))[:, :, 0, 0]
        sums = [kernel[y::factor, x::factor].sum() for y in range(factor) for x in range(factor)]
        np.testing.assert_allclose(sums, 1, rtol=1e-6)
