import keras
import numpy as np
import pytest
from keras import layers
from trained_like import trained_like
from windowed import IMAGE, WINDOW, crops, padded, valid

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation import convolutionalize


def answer(convolutional, image=IMAGE) -> np.ndarray:
    return np.asarray(convolutional(image[None], training=False))[0]


@pytest.mark.parametrize("head", ["flatten", "average", "max", "keepdims"])
def test_each_cell_is_its_window_where_nothing_pads(head):
    model = valid(head)
    expected = crops(model, IMAGE, 4)
    assert expected.std(axis=(0, 1)).max() > 0.02, "the control: windows differ"
    np.testing.assert_allclose(
        answer(convolutionalize(model))[: expected.shape[0], : expected.shape[1]], expected, atol=1e-5
    )


def test_a_kernel_with_rows_and_columns_changed_is_found():
    """The control of the order in which Flatten counts."""
    model = valid()
    convolutional = convolutionalize(model)
    hidden = convolutional.get_layer("hidden")
    kernel, bias = hidden.get_weights()
    h, w, c, n = kernel.shape
    assert h != w
    hidden.set_weights([kernel.reshape(w, h, c, n).transpose(1, 0, 2, 3), bias])
    expected = crops(model, IMAGE, 4)
    assert np.abs(answer(convolutional)[: expected.shape[0], : expected.shape[1]] - expected).max() > 1e-2


def test_softmax_stays_a_softmax():
    model = valid(activation="softmax")
    expected = crops(model, IMAGE, 4)
    found = answer(convolutionalize(model))[: expected.shape[0], : expected.shape[1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_padding_differs_and_only_from_the_inside():
    """The one window that is the whole image is the same."""
    model = padded()
    convolutional = convolutionalize(model)
    expected = crops(model, IMAGE, 2)
    assert np.abs(answer(convolutional)[: expected.shape[0], : expected.shape[1]] - expected).max() > 1e-3
    whole = IMAGE[: WINDOW[0], : WINDOW[1]]
    np.testing.assert_allclose(answer(convolutional, whole)[0, 0], answer(model, whole), atol=1e-5)


def test_models_inside_are_taken_apart_and_equal_names_told_apart():
    inner = keras.Sequential([keras.Input((*WINDOW, 3)), layers.Conv2D(4, 3, name="conv")], name="inner")
    image = keras.Input((*WINDOW, 3), name="image")
    x = layers.Conv2D(4, 5, strides=2, name="conv")(layers.ReLU()(inner(image)))
    model = trained_like(keras.Model(image, layers.Dense(2)(layers.Flatten()(x)), name="outer"))
    convolutional = convolutionalize(model)
    assert {"conv", "conv_1"} <= {layer.name for layer in convolutional.layers}
    expected = crops(model, IMAGE, 2)
    np.testing.assert_allclose(answer(convolutional)[: len(expected), : expected.shape[1]], expected, atol=1e-5)


def test_a_shared_layer_is_copied_once_and_the_copy_is_its_own():
    shared, image = layers.Conv2D(3, 3, name="shared"), keras.Input((*WINDOW, 3), name="image")
    x = layers.Dense(2, name="scores")(layers.Flatten()(shared(layers.ReLU()(shared(image)))))
    model = trained_like(keras.Model(image, x))
    convolutional = convolutionalize(model)
    assert convolutional.count_params() == model.count_params()
    before = model.get_weights()
    convolutional.set_weights([w + 1 for w in convolutional.get_weights()])
    for kept, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize(
    "name",
    ["MobileNetV3Small", *(pytest.param(n, marks=pytest.mark.slow) for n in ("EfficientNetLite0", "ResNet50"))],
)
def test_the_zoo_attached_or_with_its_own_top_is_one_cell_for_a_window(name):
    """One window is the whole image, so that padding and squeeze-and-excitation are the same too."""
    backbone = kv.backbones.create(name, image_size=64, pooling="avg")
    model = trained_like(kv.transfer.attach(backbone, keras.layers.Dense(3, name="logits")))
    convolutional = convolutionalize(model)
    window = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("float32")
    expected = answer(model, window)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(answer(convolutional, window)[0, 0] / scale, expected / scale, atol=1e-4)
    assert answer(convolutional, np.pad(window, [[0, 32], [0, 64], [0, 0]])).shape == (2, 3, 3)
    norms = [layer for layer in convolutional.layers if isinstance(layer, layers.BatchNormalization)]
    assert norms and not any(layer.trainable for layer in norms), "as in the body, statistics are fixed"


def test_the_top_of_keras_applications():
    model = trained_like(keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), classes=7))
    window = np.random.default_rng(0).uniform(-1, 1, (64, 64, 3)).astype("float32")
    found = answer(convolutionalize(model), window)[0, 0]
    np.testing.assert_allclose(found, answer(model, window), atol=1e-5)


def test_a_saved_one_is_the_same(tmp_path):
    convolutional = convolutionalize(valid())
    convolutional.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(answer(again), answer(convolutional))


def built(*middle) -> keras.Model:
    return keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3), *middle, layers.Dense(2)], name="mine")


def attentive() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = layers.MultiHeadAttention(1, 2, attention_axes=(1, 2), name="a")(image, image)
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)), name="attentive")


def headed(make) -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    return trained_like(keras.Model(image, make(x), name="headed"))


def joined(x, how):
    """Heads of two branches."""
    mean, largest = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    if how == "pools":
        return layers.Dense(3)(layers.Concatenate()([mean, largest]))
    if how == "axis":
        return layers.Softmax(axis=1)(layers.Dense(3)(layers.Concatenate(axis=1)([mean, largest])))
    if how == "sum":
        return layers.Add()([layers.Dense(3)(mean), layers.Dense(3)(layers.Flatten()(x))])
    if how == "ops":
        return keras.ops.add(layers.Dense(3)(mean), layers.Dense(3)(layers.Flatten()(x)))
    if how == "norm":
        return layers.LayerNormalization()(layers.Dense(3)(layers.UnitNormalization(axis=1)(mean)))
    small = layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Flatten()(small)


@pytest.mark.parametrize("how", ["pools", "axis", "sum", "ops", "norm", "flat"])
def test_heads_of_branches_and_of_other_axes(how):
    model = headed(lambda x: joined(x, how))
    expected = crops(model, IMAGE, 2)
    assert expected.std(axis=(0, 1)).max() > 0.01
    found = answer(convolutionalize(model))[: expected.shape[0], : expected.shape[1]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_adapted_normalization_and_augmentation_before_it():
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)))
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Flatten()(layers.Conv2D(4, 3)(norm(layers.RandomFlip()(image))))
    model = keras.Model(image, layers.Dense(3)(x))
    expected = crops(model, IMAGE * 255, 1)
    np.testing.assert_allclose(answer(convolutionalize(model), IMAGE * 255), expected, atol=1e-4)


class Cosine(layers.Dense):
    def call(self, inputs, training=None):
        return super().call(inputs / keras.ops.norm(inputs, axis=-1, keepdims=True))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda x: Cosine(3, name="cos")(layers.GlobalMaxPooling2D()(x)), r"'cos' \(Cosine\) cannot be moved"),
        (lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D()(x)[:, :2]), r"\(GetItem\) cannot be moved"),
        (lambda x: layers.Dense(3)(layers.Activation("log_softmax", name="ls")(layers.Flatten()(x))), "'ls'"),
        (lambda x: layers.Dense(3)(layers.Flatten("channels_first", name="cf")(x)), r"'cf' .*images of one size"),
        (lambda x: layers.Dense(3)(layers.Flatten()(layers.CenterCrop(4, 4, name="cc")(x))), "'cc'"),
        (lambda x: layers.Dense(3)(keras.ops.mean(x, axis=(1, 2))), r"\(Mean\) works only on images of one size"),
        (lambda x: layers.Flatten()(layers.Conv2D(3, 1)(keras.ops.mean(x, axis=(1, 2), keepdims=True))), r"\(Mean\)"),
        (lambda x: layers.Dense(3)(layers.GroupNormalization(2, name="g")(layers.GlobalMaxPooling2D()(x))), "'g'"),
        (lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D()(layers.Softmax(axis=1, name="s")(x))), "'s'"),
        (lambda x: layers.Dense(3)(layers.Flatten()(layers.Concatenate(axis=2, name="c")([x, x]))), "'c'"),
        (lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D()(keras.ops.softmax(x, axis=2))), r"\(Softmax\)"),
        (lambda x: layers.Dense(3)(layers.Flatten()(layers.Lambda(lambda y: y * 2, name="l")(x))), "'l'"),
    ],
    ids=range(12),
)
def test_heads_that_would_be_silently_wrong_are_named(make, text):
    with pytest.raises(UserError, match=text):
        convolutionalize(headed(make))


def test_neighbors_and_trees_are_no_convolutions():
    backbone = kv.backbones.create("EfficientNetLite0", image_size=32, pooling="avg")
    x = np.random.default_rng(0).normal(size=(12, 1280)).astype("float32")
    for head in (kv.heads.KNNHead(3), kv.heads.ForestHead(5)):
        with pytest.raises(UserError, match="cannot be moved from vectors to maps"):
            convolutionalize(kv.transfer.attach(backbone, head.fit(x, np.arange(12) % 3)))
    linear = kv.transfer.attach(backbone, kv.heads.LogisticHead().fit(x, np.arange(12) % 3))
    assert convolutionalize(linear).output_shape == (None, None, None, 3)


def test_a_head_that_subtracts_the_means_of_its_columns():
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(4, 3, bias_initializer=keras.initializers.Constant(1000.0))(image)
    backbone = keras.Model(image, layers.GlobalAveragePooling2D()(x))
    random = np.random.default_rng(0)
    head = kv.heads.LogisticHead().fit((1000 + random.normal(size=(30, 4))).astype("float32"), np.arange(30) % 3)
    assert head.center_.any()
    model = kv.transfer.attach(backbone, head)
    expected = crops(model, IMAGE, 1)
    found = answer(convolutionalize(model))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.std(axis=(0, 1)).max() > 1e-3, "control: windows differ"


class Forgets(layers.Layer):
    """Its configuration does not hold the factor: a copy of it does something else."""

    def __init__(self, factor: float = 1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, features):
        return features * self.factor

    def get_config(self):
        return {"name": self.name}


def test_what_says_something_else_of_one_window_is_not_returned():
    def make(x, factor):
        return layers.Dense(3)(layers.Flatten()(Forgets(factor)(x)))

    assert convolutionalize(headed(lambda x: make(x, 1.0))).output_shape[-1] == 3
    with pytest.raises(UserError, match=r"'headed_convolutional' gives other scores for one window"):
        convolutionalize(headed(lambda x: make(x, 2.0)))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (
            built(layers.Reshape((49, 16), name="odd"), layers.Flatten()),
            r"'odd' \(Reshape\) works only on images of one",
        ),
        (built(layers.Flatten(), layers.BatchNormalization(name="n")), r"'n' .* between Flatten and Dense.*Put it"),
        (built(layers.Flatten(), layers.Softmax(name="s")), r"'s' \(Softmax\) stands between"),
        (attentive(), r"'a' \(MultiHeadAttention\) works only on images of one size"),
        (keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(name="f")]), r"'f' \(Flatten\) ends in numbers"),
        (keras.Sequential([keras.Input((None, None, 3)), layers.GlobalMaxPooling2D()]), "of a fixed size"),
        (built(), "of a fixed size"),
        ("x", r"`model`.*functional or built Sequential"),
        (None, "`model`"),
        (kv.transfer.attach(kv.backbones.create("ViTTiny16", image_size=32), 2), r"cannot be rewritten: '"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_cannot_be_rewritten_is_named(model, text):
    with pytest.raises(UserError, match=text):
        convolutionalize(model)
