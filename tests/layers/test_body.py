import keras
import numpy as np
import pytest
from contracts import frozen_body

import kvision as kv
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3)).astype("float32")
LABELS = np.arange(16) % 2


def backbone() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(momentum=0.5, name="bn")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")


def model(norm: str) -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    body = kv.layers.Body(backbone(), norm=norm)
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(body(image)))


def fit(model: keras.Model) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(IMAGES, LABELS, batch_size=8, epochs=1, verbose=0)


@pytest.mark.parametrize("norm", ["frozen", "stats"])
def test_statistics_stay_bit_identical_in_fit(norm):
    classifier = model(norm)
    bn = classifier.get_layer("body").backbone.get_layer("bn")
    before = [keras.ops.convert_to_numpy(w) for w in bn.non_trainable_weights]
    fit(classifier)
    for a, b in zip(before, bn.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(a, b)
    noise = np.asarray(classifier(IMAGES, training=True)) - np.asarray(classifier(IMAGES, training=True))
    assert not noise.any(), "dropout is on inside"


def test_statistics_move_with_norm_train():
    assert frozen_body(model("train"), fit) > 1e-3


def test_control_the_guides_training_false_does_not_hold():
    """`base(x, training=False)`, as the Keras guide has it: statistics move in fit. If Keras mends it, Body can go."""
    base = backbone()
    base.trainable = True
    image = keras.Input((16, 16, 3), name="image")
    guide = keras.Model(image, keras.layers.Dense(2, activation="softmax")(base(image, training=False)))
    before = base.get_layer("bn").moving_mean.numpy().copy()
    fit(guide)
    assert np.abs(base.get_layer("bn").moving_mean.numpy() - before).max() > 1e-3


@pytest.mark.parametrize("norm", ["frozen", "train"])
def test_reload_keeps_policy_weights_and_frozen_layers(tmp_path, norm):
    classifier = model(norm)
    classifier.get_layer("body").backbone.get_layer("conv").trainable = False
    fit(classifier)
    classifier.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded.predict_on_batch(IMAGES), classifier.predict_on_batch(IMAGES))
    assert reloaded.get_layer("body").norm == norm
    assert len(reloaded.trainable_variables) == len(classifier.trainable_variables) == 4
    moved = frozen_body(reloaded, fit)
    assert (moved > 1e-3) == (norm == "train") or norm == "frozen"


def test_unknown_policy():
    with pytest.raises(UserError, match="frozen, stats, train"):
        kv.layers.Body(backbone(), norm="freeze")
