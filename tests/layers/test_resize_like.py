import keras
import numpy as np
import pytest
import tensorflow as tf
from upscaling import at_any_size

from kvision.checks import UserError
from kvision.layers import ResizeLike


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(7, 12), (3, 4), (65, 47)])
def test_it_is_tensorflows_resize(interpolation, size):
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    layer = ResizeLike(interpolation)
    found = layer(x, np.zeros((2, *size, 1), "float32"))
    np.testing.assert_allclose(found, tf.image.resize(x, size, interpolation), atol=1e-6)
    assert layer.compute_output_shape(x.shape, (2, *size, 1)) == found.shape


def test_between_four_pixels_by_hand():
    x = np.array([0.0, 1, 2, 3], "float32").reshape(1, 2, 2, 1)
    found = np.asarray(ResizeLike()(x, np.zeros((1, 4, 4, 1))))[0, :, :, 0]
    np.testing.assert_allclose(found[1], [0.5, 0.75, 1.25, 1.5], atol=1e-6)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_at_any_size_everywhere(tmp_path, interpolation):
    def make(image):
        return ResizeLike(interpolation)(keras.layers.Conv2D(4, 3, strides=2)(image), image)

    at_any_size(make, tmp_path)


def test_half_precision_stays_half():
    layer = ResizeLike(dtype="mixed_float16")
    assert layer(np.zeros((1, 2, 2, 1), "float16"), np.zeros((1, 5, 5, 1), "float16")).dtype == "float16"


def test_another_interpolation_is_refused():
    with pytest.raises(UserError, match=r"`interpolation`.*bilinear, nearest"):
        ResizeLike("bicubic")


def test_the_nearest_is_kept_from_xla():
    """Whose gradient of it is missing; Keras' `fit` asks every layer where there is a GPU."""
    assert ResizeLike("nearest").supports_jit is False and ResizeLike().supports_jit is True
