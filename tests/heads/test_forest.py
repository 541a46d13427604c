import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

import kvision as kv


def test_fits_as_scikit_learn_with_the_same_seed(blobs):
    (features, labels), (queries, _) = blobs
    options = {"n_estimators": 15, "min_samples_leaf": 2, "max_depth": 6, "max_features": 0.5, "random_state": 3}
    reference = RandomForestClassifier(**options).fit(features, labels)
    head = kv.heads.ForestHead(**options).fit(features, labels)
    np.testing.assert_allclose(head.predict_proba(queries), reference.predict_proba(queries), atol=1e-6)
    grown = kv.heads.ForestHead(**{**options, "n_estimators": 60}, verbose=True).fit(features, labels)
    at_once = RandomForestClassifier(**{**options, "n_estimators": 60}).fit(features, labels)
    np.testing.assert_allclose(grown.predict_proba(queries), at_once.predict_proba(queries), atol=1e-6)
    other = kv.heads.ForestHead(**{**options, "random_state": 4}).fit(features, labels)
    assert np.abs(other.predict_proba(queries) - head.predict_proba(queries)).max() > 1e-3


def test_depth_is_that_of_the_deepest_tree(blobs):
    (features, labels), _ = blobs
    reference = RandomForestClassifier(10, random_state=0).fit(features, labels)
    head = kv.heads.ForestHead(10).fit(features, labels)
    assert head.depth_ == max(tree.get_depth() for tree in reference.estimators_) > 3


def test_bins_are_the_same_trees_on_numbered_bins(blobs):
    """The oracle grows on the bins' numbers and is asked about them; the head takes the features themselves."""
    (features, labels), (queries, _) = blobs
    low, high = features.min(axis=0), features.max(axis=0)
    edges = [np.linspace(a, b, 9, dtype="float32")[1:-1] for a, b in zip(low, high, strict=True)]
    queries = queries.copy()
    queries[:7] = np.array(edges).T  # on the edges themselves, and beyond both ends
    queries[7], queries[8] = low - 1, high + 1

    def number(x):
        return np.stack([(x[:, i, None] > edges[i]).sum(axis=1) for i in range(24)], axis=1).astype("float32")

    reference = RandomForestClassifier(40, random_state=0).fit(number(features), labels)
    head = kv.heads.ForestHead(40, bins=8).fit(features, labels)
    np.testing.assert_allclose(head.predict_proba(queries), reference.predict_proba(number(queries)), atol=1e-6)
    exact = kv.heads.ForestHead(40).fit(features, labels)
    assert np.abs(exact.predict_proba(queries) - head.predict_proba(queries)).max() > 1e-2


def test_bins_bear_constant_and_two_valued_features(blobs):
    (features, labels), (queries, _) = blobs
    features, queries = features.copy(), queries.copy()
    features[:, 0], features[:, 1], queries[:, 1] = 7, labels == 2, 0.25
    head = kv.heads.ForestHead(40, bins=32).fit(features, labels)
    assert (head.predict(features) == labels).all() and np.isfinite(head.threshold_).all()
    assert head.predict_proba(queries)[:, 2].mean() < 0.25
    with pytest.raises(kv.checks.UserError, match=r"`bins`.*at least 2"):
        kv.heads.ForestHead(bins=1).fit(features, labels)
