import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.svm import SVC, NuSVC

import kvision as kv
from kvision.checks import UserError


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "estimator",
    [
        SVC(break_ties=True),
        SVC(gamma=0.3, C=10, class_weight={0: 5, 1: 1, 2: 1, 3: 1}, break_ties=True),
        SVC(kernel="linear", break_ties=True),
        SVC(kernel="poly", degree=2, coef0=0.5, gamma="auto", break_ties=True),
        SVC(kernel="sigmoid", gamma=1e-3, coef0=-0.1, break_ties=True),
        NuSVC(nu=0.3, break_ties=True),
    ],
    ids=repr,
)
def test_scores_of_all_kernels(converted, blobs, estimator, classes):
    layer = converted(estimator, classes)
    queries = blobs[1][0]
    found = estimator.classes_[np.asarray(layer(queries)).argmax(axis=1)]
    np.testing.assert_array_equal(found, estimator.predict(queries))
    assert type(estimator).__name__ in layer.note


def test_far_from_the_origin(blobs):
    (features, labels), (queries, _) = blobs
    model = SVC().fit(features + 3_000.0, labels)
    found = np.asarray(kv.heads.from_sklearn(model)((queries + 3_000).astype("float32")))
    scores = model.decision_function((queries + 3_000).astype("float32"))
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.filterwarnings("ignore:The `probability` parameter was deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (SVC(kernel="precomputed"), "precomputed"),
        (SVC(kernel=lambda a, b: a @ b.T), "a function"),
        (SVC(probability=True), "probability=True"),
        (SVC(), "sparse"),
    ],
    ids=["precomputed", "callable", "probability", "sparse"],
)
def test_other_kernels_and_the_coupling_are_refused_by_name(blobs, estimator, named):
    (features, labels), _ = blobs
    if named == "precomputed":
        features = features @ features.T
    features = csr_matrix(features) if named == "sparse" else features
    with pytest.raises(UserError, match=f"SVC .*{named}"):
        kv.heads.from_sklearn(estimator.fit(features, labels))
