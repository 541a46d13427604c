import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


@pytest.fixture(scope="module")
def classes():
    """Features `(160, 32)` of eight overlapping classes, all positive as those of a network, and labels."""
    random = np.random.default_rng(0)
    labels = np.arange(160) % 8
    centers = random.normal(0, 1, (8, 32))
    return np.maximum(centers[labels] + random.normal(0, 1.3, (160, 32)), 0).astype("float32"), labels


def test_every_method_becomes_a_layer_with_the_same_answers(classes):
    features, labels = classes
    for shots in (1, 5):
        (episode,) = kv.transfer.episodes(labels, ways=5, shots=shots, count=1)
        for name, method in kv.transfer.few_shot_methods(ways=5, shots=shots).items():
            method.fit(features[episode.support], labels[episode.support])
            layer = method.to_layer() if hasattr(method, "to_layer") else kv.heads.from_sklearn(method)
            found = method.classes_[np.asarray(layer(features[episode.queries])).argmax(axis=1)]
            np.testing.assert_array_equal(found, method.predict(features[episode.queries]), err_msg=name)


def test_with_one_image_of_each_class_the_prototype_is_the_nearest_neighbor(classes):
    features, labels = classes
    drawn = kv.transfer.episodes(labels, ways=5, shots=1, count=25)
    found = kv.transfer.few_shot(features, labels, drawn, kv.transfer.few_shot_methods(ways=5, shots=1), progress=False)
    np.testing.assert_array_equal(found["simpleshot"], found["1nn"])
    np.testing.assert_array_equal(found["knn"], found["1nn"])
    assert (found["ridge"] != found["prototypes"]).any(), "the control: other methods differ"


def test_more_images_help_and_the_episodes_are_shared(classes):
    features, labels = classes
    means = {}
    for shots in (1, 5):
        drawn = kv.transfer.episodes(labels, ways=5, shots=shots, count=30)
        methods = {"prototypes": kv.heads.PrototypeHead(), "again": kv.heads.PrototypeHead()}
        found = kv.transfer.few_shot(features, labels, drawn, methods, progress=False)
        np.testing.assert_array_equal(found["prototypes"], found["again"])
        means[shots] = found["prototypes"].mean()
    assert 0.3 < means[1] < means[5] - 0.05


def test_queries_never_teach(classes):
    """The control: with random features all methods are at chance."""
    _, labels = classes
    noise = np.random.default_rng(1).normal(size=(160, 32)).astype("float32")
    drawn = kv.transfer.episodes(labels, ways=4, shots=5, count=25)
    methods = kv.transfer.few_shot_methods(ways=4, shots=5)
    found = kv.transfer.few_shot(noise, labels, drawn, methods, progress=False)
    assert all(values.mean() == pytest.approx(0.25, abs=0.08) for values in found.values())


def test_other_features_for_the_support(classes):
    features, labels = classes
    drawn = kv.transfer.episodes(labels, ways=4, shots=3, count=5)
    methods = {"1nn": kv.transfer.few_shot_methods(ways=4, shots=3)["1nn"]}
    plain = kv.transfer.few_shot(features, labels, drawn, methods, progress=False)
    swapped = kv.transfer.few_shot(features, labels, drawn, methods, support=features[::-1], progress=False)
    assert swapped["1nn"].mean() < plain["1nn"].mean()
    with pytest.raises(UserError, match="160 features, 160 labels, 3 support"):
        kv.transfer.few_shot(features, labels, drawn, methods, support=features[:3])
