import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation.rewrite import Copies, refuse, walk


def test_models_inside_are_walked_in_order_and_gates_are_known():
    backbone = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1, name="inner")], name="backbone")
    image = keras.Input((8, 8, 3), name="image")
    x = kv.layers.Body(backbone, name="body")(image)
    gate = layers.Dense(2, name="gate")(layers.GlobalAveragePooling2D(name="squeeze")(x))
    x = layers.Multiply(name="excite")([x, layers.Reshape((1, 1, 2), name="shape")(gate)])
    a, b = layers.GlobalMaxPooling2D(name="max")(x), layers.GlobalAveragePooling2D(name="mean")(x)
    seen = {}

    def visit(operation, args, kwargs, meets_a_map, fixed):
        seen[operation.name] = (meets_a_map, fixed)
        return operation.name

    model = keras.Model(image, layers.Concatenate(name="both")([a, b]))
    assert walk(model, "start", visit) == "both"
    assert seen["inner"] == (False, True) and seen["gate"] == seen["squeeze"] == seen["shape"] == (True, False)
    assert seen["max"] == seen["mean"] == seen["both"] == (False, False)


def test_what_is_called_by_name_or_in_a_list_is_walked_too():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.ReLU(name="relu")])
    image = keras.Input((8, 8, 3))
    for called in (lambda: inner(inputs=image), lambda: inner([image])):
        assert walk(keras.Model(image, called()), 5, lambda _, args, *rest: args[0] + 1) == 6


def test_a_model_of_several_inputs_is_refused():
    image = keras.Input((4, 4, 3))
    with pytest.raises(UserError, match=r"'two' .*one input and one output"):
        walk(keras.Model(image, [image, layers.ReLU()(image)], name="two"), None, lambda *_: None)


def test_copies_have_names_of_their_own_and_the_weights():
    copies, layer = Copies(), layers.Dense(3, name="dense")
    layer.build((None, 2))
    assert copies.name("dense") == "dense"
    copy = copies.of(layer)
    copies.call(copy, layer, keras.Input((2,)))
    assert copies.of(layer, activation="relu") is not copy
    assert copy.name == "dense_1" and copies.of(layer) is copy is not layer
    np.testing.assert_array_equal(copy.kernel, layer.kernel)
    assert copies.of(keras.ops.add) is keras.ops.add


def test_statistics_of_a_fixed_body_stay():
    copies, norm = Copies(), layers.BatchNormalization()
    assert not copies.of(norm, fixed=True).trainable and norm.trainable


def test_the_error_names_the_layer():
    with pytest.raises(UserError, match=r"'turn' \(Permute\) turns.*'Permute'. Do not\.$"):
        refuse(layers.Permute((2, 1), name="turn"), "turns", hint="Do not")


def test_adapted_statistics_come_with_the_copy():
    norm, copies = layers.Normalization(), Copies()
    x = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    norm.adapt(x)
    copy = copies.of(norm)
    copies.call(copy, norm, keras.Input((None, None, 3)))
    np.testing.assert_array_equal(copy(x), norm(x))
    assert np.abs(np.asarray(norm(x)) - x).max() > 1
