import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation import predict, tiled


def network(context: bool = False) -> keras.Model:
    """Strides 2 and 4 and a U-Net on top: it sees 60 pixels around, or with `context` the whole image."""
    image = keras.Input((64, 64, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, -2)(image)
    for width in (4, 6):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
        if context:
            gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
            x = keras.layers.Multiply()([x, keras.layers.Activation("sigmoid")(gate)])
    return trained_like(kv.decoders.unet(keras.Model(image, x, name="two"), 5, widths=(6, 6)))


def photograph(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (height // 16 + 1, width // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)
    return (coarse[:height, :width] * 0.7 + random.uniform(0, 76, (height, width, 3))).astype("uint8")


@pytest.mark.parametrize("size", [(448, 576), (192, 704), (64, 64), (256, 256)])
def test_tiles_say_what_the_whole_image_says(size):
    model, image = network(), photograph(*size)
    whole = predict(model, image)
    assert len(np.unique(whole)) > 2
    np.testing.assert_array_equal(tiled(model, image, tile=256, overlap=64, progress=False), whole)


def test_without_overlap_and_with_layers_that_see_everything_they_do_not():
    """The controls."""
    image = photograph(448, 576)
    for model, overlap in ((network(), 0), (network(context=True), 64)):
        found = tiled(model, image, tile=256, overlap=overlap, progress=False)
        assert 0.5 < (found == predict(model, image)).mean() < 1


def test_odd_sides_are_covered_to_the_last_pixel():
    model, image = network(), photograph(333, 517)
    found = tiled(model, image, tile=192, overlap=64, progress=False)
    whole = predict(model, np.pad(image, [(0, 384 - 333), (0, 576 - 517), (0, 0)], mode="symmetric"))
    np.testing.assert_array_equal(found, whole[:333, :517])
    assert not np.array_equal(found, predict(model, image)), "the control: odd maps lie on another grid"


def test_each_tile_is_read_alone():
    class Stream:
        """What is sliced like an array."""

        shape, largest = (300, 500, 3), 0

        def __getitem__(self, where):
            rows, columns = (part.stop - part.start for part in where)
            self.largest = max(self.largest, rows * columns)
            return np.zeros((rows, columns, 3), "uint8")

    stream = Stream()
    assert tiled(network(), stream, tile=128, overlap=0, progress=False).shape == (300, 500)
    assert stream.largest == 128 * 128


def test_refusals():
    for options in ({"tile": 100}, {"overlap": 10}, {"tile": 128, "overlap": 64}, {"overlap": -64}):
        with pytest.raises(UserError, match=r"`tile, overlap`.*multiples of 64"):
            tiled(network(), photograph(64, 64), **options)
    for shape in ((64, 64), (64, 64, 4)):
        with pytest.raises(UserError, match=r"`image`.*\(height, width, 3\)"):
            tiled(network(), np.zeros(shape, "uint8"))
    many = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(256, 1)])
    with pytest.raises(UserError, match="at most 255 classes"):
        tiled(many, photograph(64, 64))
