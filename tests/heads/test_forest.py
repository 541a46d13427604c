import numpy as np
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
