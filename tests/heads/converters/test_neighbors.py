import numpy as np
import pytest
from sklearn.neighbors import KDTree, KNeighborsClassifier

import kvision as kv
from kvision.checks import UserError

IMPORTANCE = np.arange(24) % 5 + 0.5


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(4, metric="l2"),
        KNeighborsClassifier(4, metric_params={"w": IMPORTANCE}),
        KNeighborsClassifier(4, metric_params={"w": IMPORTANCE}, algorithm="brute", weights="distance"),
        KNeighborsClassifier(4, metric="minkowski", p=2, weights=None),
    ],
    ids=["l2", "w", "w distance", "minkowski"],
)
def test_metrics_that_are_euclidean(converted, estimator):
    converted(estimator)


def test_weights_of_columns_change_votes(blobs):
    """They were dropped in silence."""
    (features, labels), (queries, _) = blobs
    plain = KNeighborsClassifier(4).fit(features, labels)
    weighted = KNeighborsClassifier(4, metric_params={"w": IMPORTANCE**4}).fit(features, labels)
    assert (plain.predict(queries) != weighted.predict(queries)).sum() > 5
    found = np.asarray(kv.heads.from_sklearn(weighted)(queries)).argmax(axis=1)
    np.testing.assert_array_equal(found, weighted.predict(queries))


@pytest.mark.filterwarnings("ignore:Parameter p is found in metric_params")
@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (KNeighborsClassifier(metric="manhattan"), "manhattan"),
        (KNeighborsClassifier(p=1), "p=1"),
        (KNeighborsClassifier(p=3), "p=3"),
        (KNeighborsClassifier(metric_params={"p": 1}), "'p': 1"),
        (KNeighborsClassifier(p=3, metric_params={"w": IMPORTANCE}), "p=3"),
        (KNeighborsClassifier(metric="seuclidean", metric_params={"V": IMPORTANCE}, algorithm="brute"), "seuclidean"),
        (KNeighborsClassifier(metric="sqeuclidean", algorithm="brute"), "sqeuclidean"),
        (KNeighborsClassifier(metric=lambda a, b: abs(a - b).sum()), "metric=<function"),
        (KNeighborsClassifier(weights=np.exp), "by a function"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_metrics_and_weights_are_refused_by_name(blobs, estimator, named):
    (features, labels), _ = blobs
    with pytest.raises(UserError, match=f"KNeighborsClassifier .*{named}"):
        kv.heads.from_sklearn(estimator.fit(features, labels))


def test_trees_given_as_features_are_refused(blobs):
    (features, labels), _ = blobs
    with pytest.raises(UserError, match="dense array"):
        kv.heads.from_sklearn(KNeighborsClassifier(4).fit(KDTree(features), labels))
