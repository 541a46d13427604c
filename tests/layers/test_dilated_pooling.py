import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.layers import DilatedPooling

X = np.random.default_rng(0).normal(size=(2, 13, 11, 3)).astype("float32") - 5  # below zero: padding must not count


def by_hand(kind, size, dilation, padding):
    (h, w), (dy, dx) = size, dilation
    up, left = ((h - 1) // 2 * dy, (w - 1) // 2 * dx) if padding == "same" else (0, 0)
    height = 13 if padding == "same" else 13 - (h - 1) * dy
    width = 11 if padding == "same" else 11 - (w - 1) * dx
    out = np.zeros((2, height, width, 3))
    for y in range(height):
        for x in range(width):
            places = [(y - up + i * dy, x - left + j * dx) for i in range(h) for j in range(w)]
            inside = [X[:, r, c] for r, c in places if 0 <= r < 13 and 0 <= c < 11]
            out[:, y, x] = np.max(inside, axis=0) if kind == "max" else np.mean(inside, axis=0)
    return out


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "dilation"), [((2, 2), (1, 1)), ((3, 2), (2, 3)), ((1, 3), (4, 2)), ((2, 2), (4, 4))])
def test_by_hand(kind, padding, size, dilation):
    layer = DilatedPooling(kind, size, dilation=dilation, padding=padding)
    found = np.asarray(layer(X))
    np.testing.assert_allclose(found, by_hand(kind, size, dilation, padding), rtol=1e-5)
    assert layer.compute_output_shape(X.shape) == found.shape


def test_without_dilation_it_is_keras_own():
    for kind, keras_own in (("max", keras.layers.MaxPooling2D), ("average", keras.layers.AveragePooling2D)):
        for padding in ("valid", "same"):
            expected = keras_own(3, 1, padding=padding)(X)
            np.testing.assert_allclose(DilatedPooling(kind, 3, padding=padding)(X), expected, rtol=1e-5)


def test_saved_and_of_any_size(tmp_path):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, DilatedPooling("average", 2, dilation=3, padding="same")(image))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.output_shape == (None, None, None, 3)
    np.testing.assert_array_equal(again.predict_on_batch(X), model.predict_on_batch(X))


def test_pixels_of_padding_and_nothing_inside():
    x = np.array([[1.0, -2.0], [-3.0, -4.0]], "float32").reshape(1, 2, 2, 1)
    layer = DilatedPooling("max", 2, dilation=4, padding=((4, 0), (0, 4)))
    found = np.asarray(layer(x))[0, :, :, 0]
    np.testing.assert_array_equal(found, x[0, :, :, 0])
    both = DilatedPooling("max", 2, dilation=4, padding=((2, 2), (2, 2)))(x)
    mean = DilatedPooling("average", 2, dilation=4, padding=((2, 2), (2, 2)))(x)
    assert not np.any(both) and not np.any(mean), "where nothing is, it is 0"
    assert DilatedPooling("max", 2)(x.astype("uint8")).dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kind": "mean", "pool_size": 2}, "`kind`.*max, average"),
        ({"kind": "max", "pool_size": 0}, "`pool_size`.*at least 1"),
        ({"kind": "max", "pool_size": (2, 2, 2)}, "`pool_size`"),
        ({"kind": "max", "pool_size": 2, "dilation": 1.5}, "`dilation`"),
        ({"kind": "max", "pool_size": 2, "padding": "full"}, "`padding`.*valid, same"),
    ],
)
def test_arguments_are_checked(arguments, text):
    with pytest.raises(UserError, match=text):
        DilatedPooling(**arguments)
