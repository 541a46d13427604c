import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import kvision as kv


def oracle(bank, targets, queries, *, k, weights, metric, classes) -> np.ndarray:
    """Votes one query at a time, in float64, ties by a stable sort."""
    bank, queries = bank.astype("float64"), queries.astype("float64")
    votes = np.zeros((len(queries), classes))
    for row, query in zip(votes, queries, strict=True):
        if metric == "cosine":
            distance = 1 - bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
        else:
            distance = np.linalg.norm(bank - query, axis=1)
        nearest = np.argsort(distance, kind="stable")[:k]
        near = distance[nearest]
        weight = np.ones(k) if weights == "uniform" else (near == 0) * 1.0 if (near == 0).any() else 1 / near
        for index, w in zip(nearest, weight, strict=True):
            row[targets[index]] += w / weight.sum()
    return votes


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("k", [1, 4, 160])
def test_against_a_slow_oracle(blobs, k, weights, metric):
    (bank, targets), (queries, _) = blobs
    head = kv.heads.KNNHead(k, weights=weights, metric=metric).fit(bank, targets)
    expected = oracle(bank, targets, queries, k=k, weights=weights, metric=metric, classes=4)
    np.testing.assert_allclose(head.predict_proba(queries), expected, atol=1e-5)


def test_ties_go_to_the_lowest_index():
    bank = np.repeat(np.eye(3, dtype="float32"), 4, axis=0)  # four copies of each row
    targets = np.array([2, 0, 1, 0, 1, 2, 2, 2, 0, 0, 1, 1])
    head = kv.heads.KNNHead(1).fit(bank, targets)
    np.testing.assert_array_equal(head.predict(np.eye(3)), [2, 1, 0])
    turned = kv.heads.KNNHead(1).fit(bank[::-1], targets[::-1])
    np.testing.assert_array_equal(turned.predict(np.eye(3)), [0, 2, 1])


def test_where_neighbours_coincide_they_alone_vote():
    bank = np.array([[0, 0], [0, 0], [1e-3, 0], [1, 1]], "float32") + 100
    head = kv.heads.KNNHead(3, weights="distance").fit(bank, [0, 1, 2, 2])
    np.testing.assert_array_equal(head.predict_proba(bank[:1]), [[0.5, 0.5, 0]])


def test_far_from_the_origin_float32_still_ranks_right():
    """||x||^2 - 2 x.b + ||b||^2 loses every digit here unless the bank is centered."""
    random = np.random.default_rng(0)
    bank = (random.normal(size=(300, 64)) + 1000).astype("float32")
    queries = (random.normal(size=(50, 64)) + 1000).astype("float32")
    targets = np.arange(300) % 5
    expected = oracle(bank, targets, queries, k=5, weights="uniform", metric="euclidean", classes=5)
    np.testing.assert_allclose(kv.heads.KNNHead(5).fit(bank, targets).predict_proba(queries), expected, atol=1e-6)


def test_more_neighbors_than_rows_are_refused():
    with pytest.raises(kv.checks.UserError, match=r"`n_neighbors`.*number of rows, 3"):
        kv.heads.KNNHead(5).fit(np.eye(3), [0, 1, 1])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_one_search_scores_every_k_as_the_head_of_that_k_would(blobs, weights, metric):
    (bank, targets), (queries, answers) = blobs
    bank, queries = np.concatenate([bank, bank[::-1]]), np.tile(queries, (4, 1))  # ties, and more than one batch
    targets, answers = (
        np.array(list("dabc"))[np.concatenate([targets, targets])],
        np.array(list("dabc"))[np.tile(answers, 4)],
    )
    counts = [1, 2, 7, 40]
    found = kv.heads.KNNHead(40, weights=weights, metric=metric).fit(bank, targets).scores(queries, answers, counts)
    for k in counts:
        assert found[k] == kv.heads.KNNHead(k, weights=weights, metric=metric).fit(bank, targets).score(
            queries, answers
        )
    assert len(set(found.values())) > 2
    with pytest.raises(kv.checks.UserError, match=r"`counts`.*1 to 40"):
        kv.heads.KNNHead(40).fit(bank, targets).scores(queries, answers, [41])


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("offset", [0, 5_000])
def test_ties_of_integers_go_to_the_lower_index(k, offset):
    """Also after centering, which made 565 of 1,200 such votes another one's."""
    random = np.random.default_rng(0)
    bank, queries = random.integers(0, 4, (300, 6)) + offset, random.integers(0, 4, (400, 6)) + offset
    targets = np.arange(300) % 5
    expected = oracle(bank, targets, queries, k=k, weights="uniform", metric="euclidean", classes=5)
    np.testing.assert_allclose(kv.heads.KNNHead(k).fit(bank, targets).predict_proba(queries), expected, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_clusters_far_from_each_other(metric):
    """No one center serves them: a matrix product in float32 keeps no digits of the distances inside a cluster."""
    random = np.random.default_rng(0)
    bank = (random.normal(size=(200, 32)) + 1e4 * np.array([[-1], [1]])[np.arange(200) % 2]).astype("float32")
    targets = np.arange(200) % 50
    head = kv.heads.KNNHead(1, metric=metric).fit(bank, targets)
    assert head.score(bank, targets) == 1
    queries = (bank + random.normal(0, 0.1, bank.shape)).astype("float32")
    expected = oracle(bank, targets, queries, k=1, weights="uniform", metric=metric, classes=50)
    np.testing.assert_array_equal(head.predict(queries), expected.argmax(axis=1))


def test_neighbors_that_are_nearly_equally_near():
    """Some rows compete within float32's roundings of the product: those alone are compared by their differences."""
    random = np.random.default_rng(0)
    bank = (random.normal(size=(100, 1, 16)) * 100 + random.normal(size=(100, 4, 16)) * 0.01).reshape(400, 16)
    bank = bank.astype("float32")
    targets = np.arange(400) % 4
    head = kv.heads.KNNHead(1).fit(bank, targets)
    assert 1 < head.to_layer().sizes["candidates"] < 400
    assert head.score(bank, targets) == 1


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_the_cosine_of_a_row_of_zeros_is_0(weights):
    """It was .5: nearer than half of the rows."""
    random = np.random.default_rng(0)
    bank, queries = random.normal(size=(30, 5)).astype("float32"), random.normal(size=(50, 5)).astype("float32")
    bank[:6] = 0
    targets = np.arange(30) % 5 * (np.arange(30) > 5)  # all of one class, since any of them may be the ninth
    head = kv.heads.KNNHead(9, metric="cosine", weights=weights).fit(bank, targets)
    reference = KNeighborsClassifier(9, metric="cosine", weights=weights).fit(bank.astype("float64"), targets)
    with np.errstate(all="ignore"):
        expected = reference.predict_proba(queries.astype("float64"))
    np.testing.assert_allclose(head.predict_proba(queries), expected, atol=1e-4)
    first = [(targets[:9] == label).mean() for label in range(5)]
    np.testing.assert_allclose(head.predict_proba(0 * queries[:1]), [first], atol=1e-6)  # all rows are equally near


@pytest.mark.parametrize("temperature", [0.07, 1e-3])
def test_exponential_weights_by_hand(blobs, temperature):
    """Also at a temperature where exp(1 / T) overflows."""
    (bank, targets), (queries, _) = blobs
    head = kv.heads.KNNHead(20, weights="exponential", metric="cosine", temperature=temperature).fit(bank, targets)
    bank, queries = (x.astype("float64") / np.linalg.norm(x, axis=1, keepdims=True) for x in (bank, queries))
    expected = np.zeros((len(queries), 4))
    for row, query in zip(expected, queries, strict=True):
        similar = bank @ query
        for index in np.argsort(-similar, kind="stable")[:20]:
            row[targets[index]] += np.exp((similar[index] - similar.max()) / temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(queries), expected, atol=2e-3 if temperature < 0.01 else 1e-5)
    with pytest.raises(kv.checks.UserError, match="`temperature`"):
        kv.heads.KNNHead(1, weights="exponential", temperature=0).fit(bank, targets)
