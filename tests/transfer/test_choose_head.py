import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
LABELS = np.arange(120) % 3
FEATURES = (3 * np.eye(8)[LABELS] + RANDOM.normal(size=(120, 8))).astype("float32")
TRAIN, VALIDATION = np.arange(80), np.arange(80, 120)
ROWS = {"train": TRAIN, "validation": VALIDATION}


@pytest.mark.parametrize("name", ["knn", "forest", "logistic"])
def test_the_accuracy_is_that_of_the_head_which_is_given(name):
    head, chosen, accuracy, log_loss = kv.transfer.choose_head(name, FEATURES, LABELS, **ROWS)
    assert not hasattr(head, "classes_"), "unfitted"
    assert head.fit(FEATURES[TRAIN], LABELS[TRAIN]).score(FEATURES[VALIDATION], LABELS[VALIDATION]) == pytest.approx(
        accuracy
    )
    assert kv.metrics.log_loss(head.predict_proba(FEATURES[VALIDATION]), LABELS[VALIDATION]) == pytest.approx(log_loss)
    assert accuracy > 0.8 and {"knn": "n_neighbors=", "forest": "300 trees", "logistic": "C="}[name] in chosen


def test_no_other_candidate_is_better():
    """Every number of neighbors and metric, by a head of its own."""
    _, _, best, _ = kv.transfer.choose_head("knn", FEATURES, LABELS, **ROWS)
    scores = [
        kv.heads.KNNHead(count, metric=metric)
        .fit(FEATURES[TRAIN], LABELS[TRAIN])
        .score(FEATURES[VALIDATION], LABELS[VALIDATION])
        for count in (1, 3, 5, 10, 20)
        for metric in ("euclidean", "cosine")
    ]
    assert max(scores) == pytest.approx(best) and min(scores) < best


def test_few_images_and_an_unknown_name():
    _, chosen, *_ = kv.transfer.choose_head("knn", FEATURES, LABELS, train=TRAIN[:4], validation=VALIDATION)
    assert int(chosen.split("=")[1].split(",")[0]) <= 4
    with pytest.raises(UserError, match="Did you mean 'forest'"):
        kv.transfer.choose_head("forrest", FEATURES, LABELS, **ROWS)
