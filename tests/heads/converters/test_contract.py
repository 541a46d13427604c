import numpy as np
from sklearn.svm import LinearSVC

from kvision.heads.converters.contract import decided, dense, refused


def test_a_refusal_names_the_estimator_and_what_would_do():
    error = str(refused(LinearSVC(), "does something else", expected="another thing", hint="Take it"))
    for part in ("`estimator`", "LinearSVC does something else.", "Expected another thing.", "LinearSVC()", "Take it."):
        assert part in error


def test_scores_are_decided_by_softmax_and_noted():
    (chain,) = decided(LinearSVC(), [dense(np.eye(2), np.array([0.0, 1.0]))])
    np.testing.assert_allclose(chain(np.array([[1.0, 0.0]], "float32")), [[0.5, 0.5]], atol=1e-7)
    assert "LinearSVC" in chain.note
