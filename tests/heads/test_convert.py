import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

import kvision as kv
from kvision.checks import UserError
from kvision.heads.convert import forest_arrays

ACCEPTED = [
    LogisticRegression(max_iter=1000),
    LinearDiscriminantAnalysis(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000)),
    make_pipeline(StandardScaler(with_std=False), LogisticRegression(max_iter=1000)),
    DecisionTreeClassifier(max_depth=5, random_state=0),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(12, class_weight="balanced_subsample", random_state=0),
    ExtraTreesClassifier(12, random_state=0),
    KNeighborsClassifier(4),
    KNeighborsClassifier(4, weights="distance", algorithm="kd_tree"),
    KNeighborsClassifier(4, metric="cosine"),
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("estimator", ACCEPTED, ids=repr)
def test_fitted_estimators_become_layers(blobs, estimator, classes):
    (features, labels), (queries, _) = blobs
    estimator.fit(features, labels % classes)
    layer = kv.heads.from_sklearn(estimator)
    np.testing.assert_allclose(layer(queries), estimator.predict_proba(queries), atol=1e-5)


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(),
        LinearSVC(),
        RidgeClassifier(),
        HistGradientBoostingClassifier(max_iter=2),
        MLPClassifier((3,), max_iter=3000),
        KNeighborsClassifier(metric="manhattan"),
        KNeighborsClassifier(weights=np.exp),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
    ],
    ids=repr,
)
def test_others_are_refused_by_name(blobs, estimator):
    (features, labels), _ = blobs
    with pytest.raises(UserError) as refusal:
        kv.heads.from_sklearn(estimator.fit(features, labels))
    assert type(estimator).__name__ in str(refusal.value) and "RandomForestClassifier" in str(refusal.value)


def test_unfitted_ones_and_strange_things():
    with pytest.raises(NotFittedError):
        kv.heads.from_sklearn(LogisticRegression())


def test_a_threshold_between_two_floats_keeps_its_side():
    """scikit-learn compares float32 features with float64 thresholds; rounding to nearest sends one the other way."""
    low = np.nextafter(np.float32(100), np.float32(200))
    high = np.nextafter(low, np.float32(200))
    features = np.array([[low], [high]], "float32")
    tree = DecisionTreeClassifier().fit(features, [0, 1])
    threshold = tree.tree_.threshold[0]
    assert low < threshold < high and np.float32(threshold) == high, "the control: rounding to nearest is wrong here"
    assert forest_arrays([tree])["threshold"][0] == low
    np.testing.assert_array_equal(np.asarray(kv.heads.from_sklearn(tree)(features)).argmax(1), [0, 1])
