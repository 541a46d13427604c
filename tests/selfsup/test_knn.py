import importlib

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import kvision as kv
from kvision.checks import UserError

module = importlib.import_module("kvision.selfsup.knn")


def oracle(bank, labels, features, *, n_neighbors, temperature) -> np.ndarray:
    """One query at a time, in float64, ties by a stable sort."""
    bank, found = bank.astype("float64"), []
    for query in features.astype("float64"):
        cosine = bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
        nearest = np.argsort(-cosine, kind="stable")[:n_neighbors]
        votes = np.zeros(labels.max() + 1)
        for index in nearest:
            votes[labels[index]] += np.exp(cosine[index] / temperature)
        found.append(votes.argmax())
    return np.array(found)


@pytest.mark.parametrize("temperature", [0.05, 0.1, 5.0])
@pytest.mark.parametrize("k", [1, 7, 200, 240])
def test_against_a_slow_oracle_and_scikit_learn(blobs, k, temperature):
    (bank, labels), (features, truth) = blobs
    found = kv.selfsup.knn_predict(bank, labels, features, n_neighbors=k, temperature=temperature)
    np.testing.assert_array_equal(found, oracle(bank, labels, features, n_neighbors=k, temperature=temperature))
    theirs = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda distance: np.exp((1 - distance) / temperature)
    )
    np.testing.assert_array_equal(found, theirs.fit(bank, labels).predict(features))
    accuracy = kv.selfsup.knn_accuracy(bank, labels, features, truth, n_neighbors=k, temperature=temperature)
    assert accuracy == pytest.approx((found == truth).mean())


def test_control_neighbors_and_temperature_matter(blobs):
    (bank, labels), (features, truth) = blobs
    centered = bank - bank.mean(axis=0), features - bank.mean(axis=0)

    def accuracy(k, temperature):
        options = {"n_neighbors": k, "temperature": temperature}
        return kv.selfsup.knn_accuracy(centered[0], labels, centered[1], truth, **options)

    assert accuracy(240, 1e9) == 0.25, "where all vote alike, the first class wins"
    assert accuracy(240, 0.1) > 0.5, "by their weights alone"
    assert accuracy(1, 0.1) != accuracy(20, 0.1)


def test_the_defaults_are_the_protocols(blobs):
    (bank, labels), (features, _) = blobs
    default = kv.selfsup.knn_predict(bank, labels, features)
    np.testing.assert_array_equal(default, oracle(bank, labels, features, n_neighbors=200, temperature=0.1))


def test_a_block_at_a_time_gives_the_same(blobs, monkeypatch):
    (bank, labels), (features, _) = blobs
    whole = kv.selfsup.knn_predict(bank, labels, features, n_neighbors=9)
    monkeypatch.setattr(module, "_CELLS", 7 * len(bank))  # blocks of 7, and a last one of 4
    np.testing.assert_array_equal(kv.selfsup.knn_predict(bank, labels, features, n_neighbors=9), whole)
    monkeypatch.setattr(module, "_CELLS", 1)
    np.testing.assert_array_equal(kv.selfsup.knn_predict(bank, labels, features[:5], n_neighbors=9), whole[:5])


def test_ties_go_to_the_lower_row_and_the_lower_class():
    bank = np.repeat(np.eye(2, 3), 4, axis=0)  # four copies of each of two directions
    assert kv.selfsup.knn_predict(bank, np.array([3, 0, 0, 0, 2, 1, 1, 1]), np.eye(2, 3), n_neighbors=1).tolist() == [
        3,
        2,
    ]
    assert kv.selfsup.knn_predict(bank, np.array([3, 1, 3, 1, 2, 0, 0, 2]), np.eye(2, 3), n_neighbors=4).tolist() == [
        1,
        0,
    ]


def test_length_says_nothing_and_the_smallest_temperature_overflows_nowhere(blobs):
    (bank, labels), (features, _) = blobs
    plain = kv.selfsup.knn_predict(bank, labels, features, n_neighbors=5)
    longer = bank * np.linspace(0.1, 50, len(bank))[:, None]
    np.testing.assert_array_equal(kv.selfsup.knn_predict(longer, labels, features * 1e3, n_neighbors=5), plain)
    nearest = kv.selfsup.knn_predict(bank, labels, features, n_neighbors=1)
    np.testing.assert_array_equal(
        kv.selfsup.knn_predict(bank, labels, features, n_neighbors=50, temperature=1e-6), nearest
    )


def test_permuted_labels_give_chance(blobs):
    (bank, labels), (features, truth) = blobs
    permuted = np.random.default_rng(1).permutation(labels)
    assert kv.selfsup.knn_accuracy(bank, labels, features, truth, n_neighbors=10) > 0.6
    assert kv.selfsup.knn_accuracy(bank, permuted, features, truth, n_neighbors=10) < 0.36


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_neighbors": 0}, "`n_neighbors`"),
        ({"temperature": 0.0}, "`temperature`"),
        ({"test_features": np.ones((3, 5))}, r"`test_features` .*\(n, 12\)"),
        ({"train_labels": np.arange(3)}, "`train_labels` .*240 integer"),
        ({"test_labels": np.arange(3)}, "`test_labels` .*200 integer"),
        ({"train_features": np.full((240, 12), np.nan)}, "`train_features` .*finite"),
    ],
)
def test_what_is_wrong_is_said(blobs, change, message):
    (bank, labels), (features, truth) = blobs
    given = {"train_features": bank, "train_labels": labels, "test_features": features, "test_labels": truth}
    with pytest.raises(UserError, match=message):
        kv.selfsup.knn_accuracy(**{**given, **change})
