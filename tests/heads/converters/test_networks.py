import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

import kvision as kv
from kvision.checks import UserError

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_perceptrons(converted, activation, classes):
    converted(MLPClassifier((5, 3), activation=activation, max_iter=20, random_state=0), classes)


def test_several_labels_are_refused(blobs):
    (features, labels), _ = blobs
    several = MLPClassifier((3,), max_iter=5).fit(features, np.stack([labels > 1, labels % 2], axis=1))
    with pytest.raises(UserError, match=r"MLPClassifier .*several outputs"):
        kv.heads.from_sklearn(several)
