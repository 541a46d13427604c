import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kvision as kv
from kvision.checks import UserError


@pytest.fixture(scope="module")
def flipped():
    """Features of four classes, labels of which 24 of 400 were changed, and the places of these."""
    random = np.random.default_rng(0)
    truth = np.arange(400) % 4
    features = (random.normal(0, 1, (4, 16))[truth] + random.normal(0, 0.8, (400, 16))).astype("float32")
    places = random.choice(400, 24, replace=False)
    labels = truth.copy()
    labels[places] = (labels[places] + random.integers(1, 4, 24)) % 4
    return features, labels, places, truth


def test_changed_labels_come_first_and_their_truth_is_suggested(flipped):
    features, labels, places, truth = flipped
    found = kv.transfer.check_labels(features, labels)
    first = np.argsort(-found.suspicion)[:40]
    assert np.isin(places, first).mean() >= 0.9
    assert (found.suggested[places] == truth[places]).mean() >= 0.9
    assert found.disagrees[places].mean() >= 0.9 and found.likely_wrong.sum() <= 60
    shuffled = kv.transfer.check_labels(np.random.default_rng(1).permutation(features), labels)
    first = np.argsort(-shuffled.suspicion)[:40]
    assert np.isin(places, first).mean() < 0.4, "the control: features of other images find nothing"


def test_against_scikit_learn_and_the_rule_by_hand(flipped):
    features, labels, *_ = flipped
    found = kv.transfer.check_labels(features, labels, seed=3)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=10 / 320, max_iter=1000))
    parts = StratifiedKFold(5, shuffle=True, random_state=3)
    expected = cross_val_predict(model, features, labels, cv=parts, method="predict_proba")
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    usual = [expected[labels == label, label].mean() for label in range(4)]
    for row, label, suspicion, suggested, wrong in zip(
        expected, labels, found.suspicion, found.suggested, found.likely_wrong, strict=True
    ):
        best = max((p, other) for other, p in enumerate(row) if other != label)
        assert suggested == best[1] and suspicion == pytest.approx(1 - row[label], abs=1e-5)
        assert wrong == (best[0] > row[label] and best[0] >= usual[best[1]])


def test_each_class_needs_two_images(flipped):
    features, labels, *_ = flipped
    with pytest.raises(UserError, match=r"`labels`.*\[4\]"):
        kv.transfer.check_labels(features, np.where(np.arange(400) == 0, 4, labels))
    with pytest.raises(UserError, match="400 features and 3 labels"):
        kv.transfer.check_labels(features, labels[:3])
    few = kv.transfer.check_labels(features[:9], np.arange(9) % 4)
    assert few.probabilities.shape == (9, 4), "two folds, since a class has two images"


def test_distances_by_hand():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(30, 5)), random.normal(size=(12, 5))

    def cosine(x, y):
        return 1 - (x / np.linalg.norm(x, axis=1)[:, None]) @ (y / np.linalg.norm(y, axis=1)[:, None]).T

    own = np.sort(cosine(a, a) + 9 * np.eye(30), axis=1)[:, :4].mean(axis=1)
    np.testing.assert_allclose(kv.transfer.neighbor_distances(a, neighbors=4), own, atol=1e-6)
    other = np.sort(cosine(b, a), axis=1)[:, :4].mean(axis=1)
    np.testing.assert_allclose(kv.transfer.neighbor_distances(b, a, neighbors=4), other, atol=1e-6)
    with pytest.raises(UserError, match="at least one other image"):
        kv.transfer.neighbor_distances(a[:1])


def test_few_images_of_one_kind_are_no_outliers():
    random = np.random.default_rng(0)
    scores = kv.transfer.outliers(np.append(random.normal(1, 0.1, 500), [3.0, 5.0]))
    assert np.flatnonzero(scores).tolist() == [500, 501] and 0 < scores[500] < scores[501] < 1
    assert not kv.transfer.outliers(np.ones(5), usual=np.full(9, 2.0)).any()


def test_what_to_label_next_is_uncertain_and_different():
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(5, 8)), 10, axis=0) + random.normal(0, 0.01, (50, 8))
    sure = np.where(np.arange(50) < 30, 0.5, 0.95)[:, None]
    chosen = kv.transfer.label_next(np.concatenate([sure, 1 - sure], axis=1), features, 3)
    assert sorted(chosen // 10) == [0, 1, 2], "one of each uncertain group, none of the certain ones"
    assert len(kv.transfer.label_next(np.full((4, 2), 0.5), features[:4], 10)) == 4
    with pytest.raises(UserError, match="`count`"):
        kv.transfer.label_next(np.full((4, 2), 0.5), features[:4], 0)
