import numpy as np
import pytest
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import kvision as kv
from kvision.checks import UserError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BY_SCORES = [
    LinearSVC(),
    LinearSVC(multi_class="crammer_singer"),
    RidgeClassifier(),
    RidgeClassifierCV(),
    Perceptron(),
    SGDClassifier(random_state=0),
    SGDClassifier(loss="squared_hinge", average=True, random_state=0),
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("estimator", BY_SCORES, ids=repr)
def test_without_probabilities_the_softmax_of_the_scores_is_said(converted, blobs, estimator, classes):
    layer = converted(estimator, classes)
    queries = blobs[1][0]
    found = estimator.classes_[np.asarray(layer(queries)).argmax(axis=1)]
    np.testing.assert_array_equal(found, estimator.predict(queries))
    assert type(estimator).__name__ in layer.note and "not calibrated" in layer.note


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_losses_with_probabilities(converted, loss, classes):
    # scaled, since the clipped scores and the sigmoids of raw ones are all 0 or 1
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(loss=loss, alpha=0.1, random_state=0))
    assert not converted(pipeline, classes).note


def test_sigmoids_that_all_underflow_keep_their_order(blobs):
    """scikit-learn's float64 ends at scores of -745, where it gives all classes the same."""
    (features, labels), (queries, _) = blobs
    model = SGDClassifier(loss="log_loss", random_state=0).fit(features, labels)
    model.intercept_ = model.intercept_ - 5_000
    assert (model.predict_proba(queries) == 0.25).all(), "the control: all sigmoids are 0"
    found = np.asarray(kv.heads.from_sklearn(model)(queries))
    np.testing.assert_array_equal(found.argmax(axis=1), model.predict(queries))


def test_a_cross_validated_and_a_sparsified_one(converted, blobs):
    (features, labels), _ = blobs
    options = {"cv": 2, "Cs": 2, "max_iter": 500, "l1_ratios": (0,), "use_legacy_attributes": False}
    converted(LogisticRegressionCV(**options, scoring="accuracy"))
    converted(LogisticRegression(max_iter=1000).fit(features, labels).sparsify(), fitted=True)


def test_what_is_no_softmax_is_refused(blobs):
    (features, labels), _ = blobs
    model = LogisticRegression(max_iter=1000).fit(features, labels)
    model.multi_class = "ovr"  # a parameter until scikit-learn 1.7
    with pytest.raises(UserError, match=r"LogisticRegression.*'ovr'"):
        kv.heads.from_sklearn(model)
    several = RidgeClassifier().fit(features, np.stack([labels > 1, labels % 2], axis=1))
    with pytest.raises(UserError, match="RidgeClassifier"):
        kv.heads.from_sklearn(several)
