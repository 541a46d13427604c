import keras
import numpy as np
import pytest

from kvision.decoders import blocks


@pytest.mark.parametrize("how", blocks.UPSCALINGS)
@pytest.mark.parametrize("size", [(8, 12), (7, 11), (9, 12)])
def test_the_references_size_comes_out(how, size):
    coarse, fine = keras.Input((None, None, 5)), keras.Input((None, None, 3))
    model = keras.Model([coarse, fine], blocks.upscale(coarse, fine, how=how, factor=2, width=4, name="up"))
    random = np.random.default_rng(0)
    found = model([random.normal(size=(2, 4, 6, 5)), random.normal(size=(2, *size, 3))])
    channels = {"transposed": 4, "subpixel": 4, "unpool": 3}.get(how, 5)
    assert found.shape == (2, *size, channels)


def test_unpooling_fills_the_places_of_maxima_alone():
    coarse, fine = keras.Input((None, None, 5)), keras.Input((None, None, 3))
    model = keras.Model([coarse, fine], blocks.upscale(coarse, fine, how="unpool", factor=2, width=4, name="up"))
    random = np.random.default_rng(0)
    reference = random.normal(size=(1, 8, 8, 3)).astype("float32")
    found = np.asarray(keras.ops.convert_to_numpy(model([random.normal(size=(1, 4, 4, 5)), reference])))
    squares = reference.reshape(1, 4, 2, 4, 2, 3)
    largest = (squares == squares.max(axis=(2, 4), keepdims=True)).reshape(reference.shape)
    np.testing.assert_array_equal(found != 0, largest)


@pytest.mark.parametrize(("norm", "weights"), [("batch", 5), ("group", 3), (None, 2)])
def test_a_convolution_has_a_bias_where_no_normalization_follows(norm, weights):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, blocks.convolution(image, 12, norm=norm, name="x"))
    assert len(model.weights) == weights and model.output_shape[-1] == 12


@pytest.mark.parametrize(("width", "groups"), [(64, 8), (100, 10), (28, 2), (12, 1), (7, 1)])
def test_groups_divide_any_width(width, groups):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, blocks.convolution(image, width, norm="group", name="x"))
    assert model.get_layer("x_gn").groups == groups
