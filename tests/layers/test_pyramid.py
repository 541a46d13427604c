import keras
import pytest
from keras import layers

from kvision.checks import UserError
from kvision.layers import Pyramid


def model(size=None) -> Pyramid:
    image = keras.Input((size, size, 3), name="image")
    x = layers.Conv2D(4, 3, 2, name="half")(image)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return Pyramid(image, [x, gate, layers.Conv2D(6, 14, 14)(image), layers.UpSampling2D(2)(image)])


@pytest.mark.parametrize("size", [None, 32, 331])
def test_strides_by_growth_whatever_the_padding(size):
    """One pixel is no stride; a patch of 14 is one; enlarged, less than one pixel rounds to nothing."""
    assert model(size).strides[:3] == (2, None, 14) and model(size).channels == (4, 4, 6, 3)


def test_positions_learned_for_one_size_leave_its_own_stride():
    """As CLIP's and DINOv2's patches of 14: it cannot be traced at another size."""
    image = keras.Input((224, 224, 3), name="image")
    x = layers.Conv2D(8, 14, 14)(image)
    x = layers.Reshape((256, 8))(x)
    x = layers.Reshape((16, 16, 8))(layers.LayerNormalization(axis=(1, 2))(x))
    assert Pyramid(image, [x]).strides == (14,)


def test_sizes():
    assert model().sizes(97, 129) == ((48, 64), (1, 1), (6, 9), (194, 258))
    with pytest.raises(UserError, match=r"`height, width`.*Received: \(2, 40\)"):
        model().sizes(2, 40)


def test_a_reloaded_one_is_the_same(tmp_path):
    found = model(32)
    found.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, Pyramid) and (again.strides, again.channels) == (found.strides, found.channels)


def test_every_stride_is_exact():
    """1 to 64 along both axes, behind a convolution of stride 3 too; larger ones are measured on larger images."""
    image = keras.Input((None, None, 1))
    pairs = [(stride, 65 - stride) for stride in range(1, 65)]
    third = layers.Conv2D(1, 3, 3, padding="same")(image)
    outputs = [layers.MaxPooling2D(3, pair, padding="same")(x) for x in (image, third) for pair in pairs]
    found = Pyramid(image, outputs).steps(64, 64)
    assert found == tuple(pairs) + tuple((3 * rows, 3 * columns) for rows, columns in pairs)
    assert Pyramid(image, [layers.MaxPooling2D(1, (4087, 61))(third)]).steps(64, 64) == ((12261, 183),)
