import keras
import pytest
from keras import layers

from kvision.backbones import trunk
from kvision.checks import UserError


def found(model: keras.Model) -> list[tuple[int, str]]:
    return [(tap.stride, tap.operation.name) for tap in trunk.taps(trunk.graph(model))]


def block(x, name: str, shortcut: int, inner: int):
    """Two paths that both halve: a shortcut, and a convolution of `inner` channels before the one with the stride."""
    side = layers.Conv2D(shortcut, 1, 2, padding="same", name=f"{name}_shortcut")(x)
    x = layers.Conv2D(inner, 3, padding="same", name=f"{name}_inner")(x)
    x = layers.Conv2D(shortcut, 3, 2, padding="same", name=f"{name}_strided")(x)
    return layers.Add(name=f"{name}_out")([x, side])


@pytest.mark.parametrize(("inner", "expected"), [(4, "stem"), (8, "stem"), (16, "a_inner")])
def test_where_paths_part_the_widest_that_enters_a_smaller_size_and_the_trunk_on_a_tie(inner, expected):
    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(8, 3, 2, padding="same", name="stem")(image)
    model = keras.Model(image, block(x, "a", 32, inner))
    assert found(model) == [(2, expected), (4, "a_out")]


def test_padding_is_skipped_at_the_end_too():
    image = keras.Input((64, 64, 3))
    x = layers.ZeroPadding2D(name="pad1")(layers.Conv2D(8, 3, 2, padding="same", name="one")(image))
    x = layers.Conv2D(8, 3, 2, name="two")(layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x)))
    assert found(keras.Model(image, layers.Cropping2D(1, name="crop")(x))) == [(2, "one"), (4, "two")]


def test_a_weight_shared_by_two_calls_is_two_nodes():
    image = keras.Input((64, 64, 3))
    halve = layers.Conv2D(3, 3, 2, padding="same", name="shared")
    assert found(keras.Model(image, halve(halve(image)))) == [(2, "shared"), (4, "shared")]


def test_frozen_layers_count_and_models_without_a_kernel_have_no_tap():
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, layers.Conv2D(8, 3, 2, padding="same", name="one")(image))
    model.trainable = False
    assert found(model) == [(2, "one")]
    assert found(keras.Model(image, layers.MaxPooling2D(2)(image))) == []


def test_graph_leaves_the_model_as_it_was():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="a"), layers.Flatten(name="b")])
    assert (
        [layer.name for layer in trunk.graph(model).layers][1:] == [layer.name for layer in model.layers] == ["a", "b"]
    )
    with pytest.raises(UserError, match=r"`backbone`.*functional or built Sequential"):
        trunk.graph(keras.Sequential([layers.Flatten()]))


def narrowed(*parts) -> list[tuple[int, str]]:
    image = keras.Input((32, 32, 3))
    model = keras.Sequential([image, *parts])
    return [(tap.stride, tap.narrow._keras_history.operation.name) for tap in trunk.taps(trunk.graph(model))]


def test_what_is_computed_pixel_by_pixel_is_tapped_where_it_is_narrowest():
    def widened(strides: int):
        return [
            layers.Conv2D(4, 3, 2, padding="same", name="half"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(9, 1, strides, name="wide"),
            layers.ReLU(name="relu"),
        ]

    assert narrowed(*widened(1)) == [(2, "norm")]
    assert narrowed(*widened(1), layers.Conv2D(2, 1, name="narrow"), layers.ReLU(name="last")) == [(2, "last")]
    assert narrowed(*widened(2)) == [(2, "norm"), (4, "relu")], "a stride is no pixel by pixel"
    assert narrowed(*widened(1), layers.DepthwiseConv2D(3, padding="same", name="around")) == [(2, "around")]
    assert narrowed(layers.Conv2D(9, 1, name="first"), layers.ReLU(name="relu")) == [(1, "relu")], "not the pixels"
