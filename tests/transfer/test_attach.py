import keras
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import kvision as kv
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 32, 32, 3), dtype="uint8")
LABELS = np.array(["cat", "dog", "owl"])[np.arange(60) % 3]


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = kv.layers.Preprocess("tf")(image)
    x = keras.layers.Conv2D(8, 3, strides=4, activation="relu", name="conv")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")


@pytest.mark.parametrize(
    "head",
    [
        kv.heads.KNNHead(3),
        kv.heads.ForestHead(10),
        kv.heads.LogisticHead(),
        KNeighborsClassifier(3),
        RandomForestClassifier(10, random_state=0),
        LogisticRegression(max_iter=2000),
    ],
    ids=lambda head: type(head).__name__,
)
def test_one_model_computes_what_the_two_parts_do(tmp_path, backbone, head):
    features = kv.features.embed(backbone, IMAGES, progress=False)
    head.fit(features, LABELS)
    model = kv.transfer.attach(backbone, head)
    assert [tensor.name for tensor in model.inputs] == ["image"]
    probabilities = model.predict_on_batch(IMAGES)
    np.testing.assert_allclose(probabilities, head.predict_proba(features), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras").predict_on_batch(IMAGES), probabilities
    )


def test_new_head_and_keras_layer(backbone):
    model = kv.transfer.attach(backbone, 4)
    assert model.output_shape == (None, 4)
    np.testing.assert_allclose(model.predict_on_batch(IMAGES).sum(axis=1), 1, atol=1e-5)
    assert kv.transfer.attach(backbone, keras.layers.Dense(2)).output_shape == (None, 2)


def test_a_feature_map_is_averaged(backbone):
    maps = keras.Model(backbone.input, backbone.get_layer("drop").output, name="maps")
    model = kv.transfer.attach(maps, 2)
    features = keras.Model(model.input, model.layers[-1].input).predict_on_batch(IMAGES)
    np.testing.assert_allclose(features, backbone.predict_on_batch(IMAGES), atol=1e-6)


def test_others_are_refused_by_name(backbone):
    features = kv.features.embed(backbone, IMAGES, progress=False)
    for estimator in (GaussianNB(), SVC(kernel=lambda a, b: a @ b.T)):
        with pytest.raises(UserError, match=type(estimator).__name__):
            kv.transfer.attach(backbone, estimator.fit(features, LABELS))
    for head in (1, True, "knn", None):
        with pytest.raises(UserError, match="`head`"):
            kv.transfer.attach(backbone, head)
    two = keras.Model(backbone.input, [backbone.output, backbone.output])
    with pytest.raises(UserError, match="one output"):
        kv.transfer.attach(two, 2)


def test_random_changes_work_in_training_alone_and_no_export_holds_them(tmp_path, backbone):
    flip = keras.layers.RandomFlip("horizontal", seed=0)
    model = kv.transfer.attach(backbone, 3, augment=flip)
    plain = kv.transfer.attach(backbone, 3)
    plain.set_weights(model.get_weights())
    images = IMAGES[:32].astype("float32")
    still = np.asarray(plain(images, training=False))
    np.testing.assert_array_equal(np.asarray(model(images, training=False)), still)
    turned = np.asarray(plain(images[:, :, ::-1], training=False))
    seen = np.asarray(model(images, training=True))  # the body stays in inference mode: only the flip is random
    flipped = [np.allclose(row, other, atol=1e-6) for row, other in zip(seen, turned, strict=True)]
    kept = [np.allclose(row, other, atol=1e-6) for row, other in zip(seen, still, strict=True)]
    assert all(a or b for a, b in zip(flipped, kept, strict=True)) and 4 < sum(flipped) < 28
    folder = kv.export.write(model, tmp_path, task=kv.tasks.Classification())
    from kvision.export.litert import Runner

    lite = Runner(folder / "assets.extra" / "model.tflite")(images)["probabilities"]
    np.testing.assert_allclose(lite, still, atol=1e-5)


def test_swapped_arguments_are_told(backbone):
    head = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    for swapped in (3, kv.heads.KNNHead(), LogisticRegression(), keras.layers.Dense(3), head):
        with pytest.raises(UserError, match=r"`backbone` .*swapped: call kv.transfer.attach\(backbone, head\)"):
            kv.transfer.attach(swapped, backbone)
    with pytest.raises(UserError, match="`backbone`") as error:
        kv.transfer.attach("ResNet50", 3)
    assert "swapped" not in str(error.value)


def test_heads_of_another_width_unfitted_ones_and_classes_are_told(backbone):
    features = np.random.default_rng(0).normal(size=(12, 5))
    for head in (kv.heads.ForestHead(3), RandomForestClassifier(3), kv.heads.LogisticHead()):
        with pytest.raises(UserError, match=r"fitted on 5 features. Expected 8 features.*'small'"):
            kv.transfer.attach(backbone, head.fit(features, np.arange(12) % 2))
    with pytest.raises(NotFittedError):
        kv.transfer.attach(backbone, kv.heads.KNNHead())
    with pytest.raises(UserError, match="`head`"):
        kv.transfer.attach(backbone, kv.heads.KNNHead)
    assert kv.transfer.attach(backbone, np.int64(3)).output_shape == (None, 3)
