import keras
import numpy as np
import pytest
import tensorflow as tf
from upscaling import adjoint, at_any_size

from kvision.checks import UserError
from kvision.layers import BedOfNails, MaxUnpooling, SwitchedMaxPooling

RANDOM = np.random.default_rng(0)


def distinct(*shape) -> np.ndarray:
    return RANDOM.permutation(np.prod(shape)).reshape(shape).astype("float32") - np.prod(shape) / 2


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_bed_of_nails(factor):
    x = distinct(2, 3, 4, 5)
    found = np.asarray(BedOfNails(factor)(x))
    assert found.shape == (2, 3 * factor, 4 * factor, 5) == BedOfNails(factor).compute_output_shape(x.shape)
    np.testing.assert_array_equal(found[:, ::factor, ::factor], x)
    assert np.count_nonzero(found) == np.count_nonzero(x)


def test_a_bed_of_nails_is_the_transpose_of_subsampling():
    adjoint(lambda x: x[:, ::2, ::2], BedOfNails(2), distinct(2, 6, 8, 3), distinct(2, 3, 4, 3))


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("size", [(6, 6), (7, 6), (7, 11), (2, 13)])
def test_values_come_back_where_they_stood_by_hand(factor, size):
    x = distinct(2, *size, 3)
    values, switches = SwitchedMaxPooling(factor)(x)
    found = np.asarray(MaxUnpooling(factor)(values, switches, x))
    expected = np.zeros_like(x)
    for b in range(2):
        for c in range(3):
            for top in range(0, size[0], factor):
                for left in range(0, size[1], factor):
                    square = x[b, top : top + factor, left : left + factor, c]
                    row, column = np.unravel_index(square.argmax(), square.shape)
                    expected[b, top + row, left + column, c] = square.max()
                    assert values[b, top // factor, left // factor, c] == square.max()
    np.testing.assert_array_equal(found, expected)
    positive, where = SwitchedMaxPooling(factor)(x - x.min() + 1)
    np.testing.assert_array_equal(SwitchedMaxPooling(factor)(MaxUnpooling(factor)(positive, where, x))[0], positive)
    pooled = keras.layers.MaxPooling2D(factor, padding="same")(x)
    if all(side % factor == 0 for side in size):
        np.testing.assert_array_equal(values, pooled)


def test_where_tensorflow_says_they_stood():
    """Another item of the batch has other switches."""
    x = distinct(3, 8, 8, 2)
    values, flat = tf.nn.max_pool_with_argmax(x, 2, 2, "VALID", include_batch_in_index=True)
    expected = tf.reshape(tf.scatter_nd(tf.reshape(flat, (-1, 1)), tf.reshape(values, (-1,)), [x.size]), x.shape)
    found = MaxUnpooling(2)(*SwitchedMaxPooling(2)(x), x)
    np.testing.assert_array_equal(found, expected)
    ours = np.asarray(SwitchedMaxPooling(2)(x)[1])
    assert (ours[0] != ours[1]).any()


def test_of_equal_ones_the_first():
    values, switches = SwitchedMaxPooling(2)(np.ones((1, 3, 3, 1), "float32"))
    assert np.asarray(switches).max() == 0 and np.asarray(values).min() == 1


def test_gradients_go_to_the_maxima_alone():
    x = tf.Variable(distinct(1, 4, 4, 1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(MaxUnpooling(2)(*SwitchedMaxPooling(2)(x), x) * 3)
    gradient = tape.gradient(total, x).numpy()
    assert np.count_nonzero(gradient) == 4 and set(np.unique(gradient)) == {0, 3}


@pytest.mark.parametrize("kind", ["nails", "max"])
def test_at_any_size_everywhere(tmp_path, kind):
    def make(image):
        x = keras.layers.Conv2D(4, 3, padding="same")(image)
        if kind == "nails":
            return BedOfNails(3)(x)
        values, switches = SwitchedMaxPooling(2)(x)
        return MaxUnpooling(2)(keras.layers.Conv2D(4, 1)(values), switches, x)

    at_any_size(make, tmp_path)


@pytest.mark.parametrize("layer", [BedOfNails, SwitchedMaxPooling, MaxUnpooling])
def test_a_factor_below_1_is_refused(layer):
    with pytest.raises(UserError, match=r"`factor`.*at least 1"):
        layer(0)


def test_a_reference_that_was_not_pooled_so_is_refused():
    values, switches = SwitchedMaxPooling(2)(distinct(1, 6, 6, 1))
    with pytest.raises(UserError, match=r"`reference`.*\(3, 3\)"):
        MaxUnpooling(2)(values, switches, np.zeros((1, 9, 6, 1), "float32"))


def test_bytes_are_numbers():
    x = RANDOM.integers(0, 256, (1, 5, 5, 2), dtype="uint8")
    np.testing.assert_array_equal(SwitchedMaxPooling(2)(x)[0], keras.layers.MaxPooling2D(2, padding="same")(x * 1.0))
