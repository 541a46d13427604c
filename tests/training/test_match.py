import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.training import match

CLASSES = 3


def network(loss="sparse_categorical_crossentropy") -> keras.Model:
    image = keras.Input((8, 8, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax")(pooled), name="small")
    if loss is not None:
        model.compile("sgd", loss)
    return model


def test_a_model_without_compile():
    with pytest.raises(UserError, match=r"`model` is not compiled.*'small'.*model\.compile"):
        match.require_compiled(network(None))
    match.require_compiled(network())


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((8, 8, 3), r"images\[None\]"),  # one image
        ((64, 64, 3), r"\(64, 64, 3\).*images\[None\]"),
        ((5, 8, 8), r"gray: np\.repeat\(images\[\.\.\., None\], 3, axis=-1\)"),
        ((5, 8, 8, 1), r"gray: np\.repeat\(images, 3, axis=-1\)"),
        ((5, 8, 8, 4), r"alpha: images\[\.\.\., :3\]"),
        ((5, 3, 8, 8), r"np\.moveaxis\(images, 1, -1\)"),
        ((5, 8, 8, 5), "channels=5"),
        ((5, 9, 8, 3), "Resize them"),
        ((5, 192), r"\(5, 192\)\.$"),
    ],
)
def test_shapes_are_told_as_they_came_with_what_to_do(shape, hint):
    with pytest.raises(UserError, match=rf"`images` has another shape.*Expected \(N, 8, 8, 3\).*{hint}"):
        match.check_shape("images", shape, (None, 8, 8, 3))


def test_shapes_that_keras_takes():
    match.check_shape("images", (None, 8, 8, 3), (None, None, None, 3))
    match.check_shape("images", (5, 8, 8), (None, 8, 8, 1))
    match.check_shape("x", (5, 4, 1), (None, 4))
    with pytest.raises(UserError, match=r"Expected \(N, any, 8, 3\)"):
        match.check_shape("images", (5, 8, 9, 3), (None, None, 8, 3))


def test_inputs_are_looked_at_where_there_is_one():
    def spec(*shape):
        return keras.KerasTensor((None, *shape))

    model = network()
    match.check_inputs(model, None, (spec(8, 8, 3), spec()))
    match.check_inputs(model, None, None)
    match.check_inputs(keras.Sequential([keras.layers.Dense(2)]), None, spec(4))
    arrays = (np.zeros((64, 64, 3)), np.zeros(64))
    with pytest.raises(UserError, match=r"`train`.*Received: \(64, 64, 3\)"):
        match.check_inputs(model, arrays, (spec(64, 3), spec()))
    with pytest.raises(UserError, match=r"`data`.*Received: \(None, 64, 3\)"):
        match.check_inputs(model, None, (spec(64, 3), spec()), argument="data")
    with pytest.raises(UserError, match=r"a list of 2 arrays.*np\.stack"):
        match.check_inputs(model, None, ([spec(8, 8, 3)] * 2, spec()))


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([1, 2, 3], r"1 to 3.*subtract 1"),
        ([0, -1], r"-1 to 0.*np\.unique"),
        ([0, 7], r"integers from 0 to 2: the model has 3 outputs.*0 to 7.*np\.unique"),
        ([0, 0.5], "0 to 0.5"),
        ([0, np.nan], "nan"),
        (np.eye(3), r"one-hot labels.*Received: \(3, 3\).*categorical_crossentropy"),
    ],
)
def test_labels_that_are_no_classes(labels, text):
    with pytest.raises(UserError, match=f"`y` holds .*{text}"):
        match.check_labels(network(), np.array(labels), argument="y")


def test_labels_that_are_right_or_another_losss():
    for labels in (np.array([0, 1, 2]), np.array([[0.0], [2.0]]), np.array([True, False]), np.zeros(0)):
        match.check_labels(network(), labels)
    ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    match.check_labels(network(ignoring), np.array([0, 255, 2]))
    with pytest.raises(UserError, match=r"np\.unique"):
        match.check_labels(network(ignoring), np.array([0, 254]))
    match.check_labels(network("categorical_crossentropy"), np.eye(3))
    match.check_labels(network("mse"), np.array([7.0]))


def test_what_tensorflow_says_of_a_label():
    text = "Received a label value of 3 which is outside the valid range of [0, 3).  Label values: 1 2 3"
    assert (
        "0 to 2" in str(match.wrong_label(ValueError(text), argument="y"))
        and match.wrong_label(ValueError("else"), argument="y") is None
    )
