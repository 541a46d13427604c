import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.training.raw_images import takes_raw_pixels

SIDE = 8
RAW = np.random.default_rng(0).uniform(0, 255, (8, SIDE, SIDE, 3)).astype("float32")
SCALED = RAW / 255
BROKEN = RAW.copy()
BROKEN[5, 0, 0, 0] = np.nan
LABELS = np.arange(8) % 2


def network(first=None) -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = (kv.layers.Preprocess("tf") if first is None else first)(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, x)


@pytest.fixture(scope="module")
def model():
    model = kv.transfer.attach(network(), 2, augment=keras.layers.RandomFlip("horizontal"))
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def test_which_models_take_raw_pixels(model):
    assert takes_raw_pixels(network()) and takes_raw_pixels(model)
    assert takes_raw_pixels(keras.Sequential([keras.layers.RandomFlip(), network(), keras.layers.Dense(2)]))
    assert not takes_raw_pixels(network(keras.layers.Rescaling(1 / 255)))
    assert not takes_raw_pixels(keras.Sequential([keras.layers.Rescaling(255.0), network()])), "scaled by the user"


def dataset(images):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(4)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.images[4 * index : 4 * index + 4], LABELS[4 * index : 4 * index + 4]


def generator(images):
    return (Sequence(images)[i] for i in (0, 1))


KINDS = {"arrays": lambda images: (images, LABELS), "dataset": dataset, "PyDataset": Sequence, "generator": generator}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_is_looked_at(model, kind):
    data = KINDS[kind]
    with pytest.raises(UserError, match=r"`train` look scaled to \[0, 1\]"):
        kv.training.fit(model, data(SCALED), epochs=1, verbose=0)
    with pytest.raises(UserError, match="`train` hold NaN or infinity in image 5"):
        kv.training.fit(model, data(BROKEN), epochs=1, verbose=0)
    if kind != "generator":  # whose end is a warning of Keras
        kv.training.fit(model, data(RAW), epochs=1, verbose=0)


def test_so_are_held_out_images(model):
    with pytest.raises(UserError, match="`data` look scaled"):
        kv.training.evaluate(model, dataset(SCALED), verbose=0)
    with pytest.raises(UserError, match="`data` hold NaN or infinity in image 5"):
        kv.training.predict(model, BROKEN, verbose=0)
    with pytest.raises(UserError, match="`validation_data` look scaled"):
        kv.training.fit(model, (RAW, LABELS), epochs=1, validation_data=(SCALED, LABELS), verbose=0)


def test_another_model_takes_what_it_likes():
    model = keras.Sequential([network(keras.layers.Rescaling(2.0)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    kv.training.fit(model, (SCALED, LABELS), epochs=1, verbose=0)
