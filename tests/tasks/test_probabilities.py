import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.tasks import Classification, Segmentation, probabilities, signatures


def sigmoid(activation: str = "sigmoid") -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    feature = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(1, activation=activation)(feature), name="cats")


def test_a_sigmoid_becomes_two_classes(eager):
    model = sigmoid()
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    both = probabilities.of_two_classes(model)
    p = model.predict(images, verbose=0)
    found = signatures.functions(both)["predict"](images)["probabilities"].numpy()
    np.testing.assert_allclose(found, np.concatenate([1 - p, p], axis=1), atol=1e-6)
    assert p.std() > 0.01, "control: the image shows"
    feature = signatures.functions(both)["embed"](images)["feature"]
    np.testing.assert_allclose(feature, images.reshape(4, -1) / 255, atol=1e-6, err_msg="what the last layer reads")
    Classification(["dog", "cat"]).check(model)
    assert len(both.variables) == len(model.variables) and both.name == model.name


def test_a_sigmoid_for_each_pixel_becomes_two_classes(eager):
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    model = keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))
    both = probabilities.of_two_classes(model)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 7, 9, 3)).astype("float32")
    p = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(both.predict(pixels, verbose=0), np.concatenate([1 - p, p], axis=-1), atol=1e-6)
    Segmentation(["ground", "thing"]).check(both)


def test_others_stay_as_they_are():
    model = keras.Model(image := keras.Input((8, 8, 3)), keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    assert probabilities.of_two_classes(model) is model


def test_logits_are_refused_with_the_remedy():
    model = probabilities.of_two_classes(sigmoid("linear"))
    with pytest.raises(UserError, match=r"'cats' does not answer with probabilities.*Softmax\(\)\(model.output\)"):
        Classification().cases(model)
    image = keras.Input((None, None, 3), name="image")
    masks = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    with pytest.raises(UserError, match="does not answer with probabilities"):
        Segmentation().cases(masks)


@pytest.mark.parametrize("row", [[0.5, 0.6], [-0.2, 1.2], [np.nan, 0.5], [0.2, 0.2]])
def test_what_is_no_probability(row):
    probabilities.check(sigmoid(), np.array([[0.25, 0.75], [1, 0]], "float32"))
    with pytest.raises(UserError, match="whose sum over the classes is 1"):
        probabilities.check(sigmoid(), np.array([[0.25, 0.75], row], "float32"))
