import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.training.single import single

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype("float32")


def tensors():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    return image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution, self.pool = keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()

    def call(self, images):
        return self.pool(self.convolution(images))


@pytest.mark.parametrize(
    "structures",
    [
        lambda image, features: (image, [features]),
        lambda image, features: (image, {"features": features}),
        lambda image, features: ([image], [features]),
        lambda image, features: ({"image": image}, features),
    ],
)
def test_a_list_or_dict_of_one_is_that_one(structures):
    """In `embed` and `attach` too: the same features and the same layers."""
    image, features = tensors()
    plain, written = keras.Model(image, features), keras.Model(*structures(image, features), name="mine")
    found = single(written)
    assert found.name == "mine" and found.layers[1] is written.layers[1] and single(found) is found
    expected = plain(IMAGES)
    np.testing.assert_allclose(kv.features.embed(written, IMAGES, engine="keras", progress=False), expected, atol=1e-5)
    model = kv.transfer.attach(written, keras.layers.Identity())
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-5)


def test_what_tells_no_input_is_to_be_wrapped():
    image, features = tensors()
    for made in (Own(), keras.Sequential([keras.layers.Conv2D(4, 3)])):
        with pytest.raises(UserError, match=r"`backbone` does not tell the shape of its input.*keras\.Model\(image"):
            kv.transfer.attach(made, 2)
        with pytest.raises(UserError, match=r"`model` does not tell"):
            kv.features.embed(made, IMAGES, progress=False)
    with pytest.raises(UserError, match=r"one input and one output.*2 outputs"):
        single(keras.Model(image, [features, features]))
    own = keras.Model(image, Own()(image))
    assert kv.features.embed(own, IMAGES, engine="keras", progress=False).shape == (3, 4)
    model = kv.transfer.attach(own, 2)
    assert len(kv.schedules.freeze(model, above="all", norm="train")) == 4
