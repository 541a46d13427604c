import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

import kvision as kv
from kvision.checks import UserError


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=5, learning_rate=0.7, random_state=0),
        GradientBoostingClassifier(n_estimators=5, init="zero", subsample=0.5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5, random_state=0),
        AdaBoostClassifier(n_estimators=7, learning_rate=0.5, random_state=0),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=7, random_state=0),
        AdaBoostClassifier(ExtraTreeClassifier(max_depth=2), n_estimators=7, random_state=0),
    ],
    ids=repr,
)
def test_trees_are_added(converted, blobs, estimator, classes):
    layer = converted(estimator, classes)
    queries = blobs[1][0]
    found = estimator.classes_[np.asarray(layer(queries)).argmax(axis=1)]
    np.testing.assert_array_equal(found, estimator.predict(queries))


def test_exponential_loss_of_two_classes(converted):
    converted(GradientBoostingClassifier(loss="exponential", n_estimators=5, random_state=0), classes=2)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (GradientBoostingClassifier(init=DummyClassifier(), n_estimators=2), "init="),
        (HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]), "categories"),
        (AdaBoostClassifier(LogisticRegression(max_iter=500), n_estimators=2), "LogisticRegression"),
    ],
    ids=["init", "categorical", "not of trees"],
)
def test_other_starts_and_splits_are_refused_by_name(blobs, estimator, named):
    (features, labels), _ = blobs
    features = features.copy()
    features[:, 0] = labels
    with pytest.raises(UserError, match=f"{type(estimator).__name__}.*{named}"):
        kv.heads.from_sklearn(estimator.fit(features, labels))
