import numpy as np
import pytest

from kvision.runs import few_labels

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 9]))


def test_shares_are_balanced_and_nested():
    small, large, all_of_them = (few_labels.few(LABELS, share, seed=1) for share in (0.1, 0.5, 1))
    assert [np.bincount(LABELS[chosen]).tolist() for chosen in (small, large)] == [[10, 5, 2], [50, 25, 4]]
    assert set(small) < set(large) < set(all_of_them) == set(range(159))
    assert set(small) != set(few_labels.few(LABELS, 0.1, seed=2))


def test_the_probe_learns_and_is_fitted_on_all_rows():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = (np.eye(3)[labels] + random.normal(0, 0.2, (60, 3))).astype("float32")
    head, choice = few_labels.probe(features, labels, seed=0)
    assert head.score(features, labels) > 0.9 and choice.chosen.startswith("C=")


def test_the_summary_by_hand():
    truth = np.array([0, 1, 1, 0])
    records = [{"predicted": p, "seconds": 1.5, "chosen": "C=1"} for p in ([0, 1, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0])]
    row = few_labels.summary(records, truth, 7)
    assert row["accuracy"] == pytest.approx(0.75) and row["accuracies"] == [0.75, 0.5, 1.0]
    half = 4.302653 * 0.25 / 3**0.5
    assert row["interval"] == pytest.approx([0.75 - half, 1.0]), "cut at 1"
    assert row["seconds"] == 4.5 and row["labels"] == 7
    one = few_labels.summary(records[:1], truth, 7)
    assert one["interval"][0] < 0.75 < one["interval"][1] < 1
