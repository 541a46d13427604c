import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.segmentation import predict


def brightness() -> keras.Model:
    """Logits of dark and light: which of them, turns at 127.5."""
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(2, 1)
    model = keras.Model(image, layer(image))
    layer.set_weights([np.array([[[[-1, 1]] * 3]], "float32"), np.array([382.5, -382.5], "float32")])
    return model


def test_labels_have_the_images_size():
    image = np.zeros((37, 51, 3), "uint8")
    image[:, 20:] = 255
    found = predict(brightness(), image)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.arange(51)[None] >= np.full((37, 1), 20))


def test_larger_images_go_through_small_and_come_back_by_their_logits():
    """An edge comes back to a third of a small pixel; from labels it would come back to a whole one."""
    image = np.zeros((80, 300, 3), "uint8")
    image[:, 137:] = 255
    found = predict(brightness(), image, longest_side=50)  # six pixels become one
    edges = np.argmax(found, axis=1)
    assert found.shape == (80, 300) and np.abs(edges - 137).max() <= 2


def test_refusals():
    with pytest.raises(UserError, match=r"`image`.*\(height, width, 3\)"):
        predict(brightness(), np.zeros((4, 4)))
    many = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(256, 1)])
    with pytest.raises(UserError, match="at most 255 classes"):
        predict(many, np.zeros((4, 4, 3), "uint8"))
