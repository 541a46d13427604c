import numpy as np
import pytest
from sklearn import metrics

from kvision.metrics import log_loss

PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(4), 30).astype("float32")
LABELS = np.arange(30) % 4


def test_it_is_scikit_learns():
    assert log_loss(PROBABILITIES, LABELS) == pytest.approx(metrics.log_loss(LABELS, PROBABILITIES), rel=1e-5)


def test_certainty_costs_nothing_and_error_in_certainty_is_finite():
    sure = np.eye(4, dtype="float32")[LABELS]
    assert f"{log_loss(sure, LABELS):.4f}" == "0.0000"
    assert log_loss(sure, (LABELS + 1) % 4) == pytest.approx(-np.log(1e-7))
