import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.selfsup.inputs import feature_rows, features_of, images_and_labels, label_rows

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype("uint8")


def test_images_come_as_arrays_or_as_images():
    given = kv.data.from_arrays(IMAGES, np.arange(5), image_size=8)
    images, labels = images_and_labels("train", given)
    assert images is given and labels.tolist() == [0, 1, 2, 3, 4] and labels.dtype == "int32"
    images, labels = images_and_labels("train", (IMAGES, np.arange(5, dtype="uint8")[:, None]))
    assert images is IMAGES and labels.tolist() == [0, 1, 2, 3, 4] and labels.dtype == "int32"


@pytest.mark.parametrize("wrong", [IMAGES, (IMAGES,), (IMAGES[..., 0], np.arange(5)), "folder"])
def test_what_is_no_pair_of_images_and_labels_is_refused(wrong):
    with pytest.raises(UserError, match=r"`test` .*kv.data.Images, or a pair of arrays"):
        images_and_labels("test", wrong)


@pytest.mark.parametrize("wrong", [np.arange(4), np.arange(5) - 1, np.linspace(0, 1, 5)])
def test_labels_are_one_integer_a_row(wrong):
    with pytest.raises(UserError, match=r"`train` .*5 integer labels"):
        images_and_labels("train", (IMAGES, wrong))
    with pytest.raises(UserError, match=r"`truth` .*5 integer labels"):
        label_rows("truth", wrong, 5)


def test_features_are_finite_rows_of_one_width():
    assert feature_rows("bank", np.ones((2, 3))).dtype == "float32"
    for wrong, width in ((np.ones(3), None), (np.ones((2, 3)), 4), (np.ones((0, 3)), None), (np.array([["a"]]), None)):
        with pytest.raises(UserError, match=r"`bank` .*an array \(n, "):
            feature_rows("bank", wrong, width)
    rows = np.ones((4, 3))
    rows[2, 1], rows[3] = np.nan, np.inf
    with pytest.raises(UserError, match=r"`bank` .*finite.*2 of 4 rows"):
        feature_rows("bank", rows)


def test_features_are_those_of_this_moments_weights():
    encoder = small()
    images = kv.data.from_arrays(IMAGES, np.arange(5), image_size=8, batch_size=2)
    one, other = features_of(encoder, [IMAGES, images], batch_size=2)
    np.testing.assert_allclose(one, encoder(IMAGES.astype("float32"), training=False), atol=1e-5)
    np.testing.assert_allclose(one, other, atol=1e-6)
    encoder.set_weights([2 * weight for weight in encoder.get_weights()])
    (after,) = features_of(encoder, [IMAGES], batch_size=2)
    np.testing.assert_allclose(after, 2 * one, rtol=1e-5)


def small() -> keras.Model:
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Flatten(name="flat")(kv.layers.Preprocess("tf")(image))
    return keras.Model(image, keras.layers.Dense(4, name="dense")(x))
