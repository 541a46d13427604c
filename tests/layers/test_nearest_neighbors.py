import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def layer(**changes) -> kv.layers.NearestNeighbors:
    options = {"count": 6, "width": 2, "classes": 3, "k": 2, "weights": "uniform", "metric": "euclidean"}
    return kv.layers.NearestNeighbors(**{**options, **changes})


def test_votes_by_hand():
    knn = layer()
    knn.bank.assign([[0, 0], [0, 1], [5, 5], [5, 6], [9, 0], [9, 1]])
    knn.targets.assign([0, 0, 1, 2, 2, 2])
    np.testing.assert_allclose(
        knn(np.array([[0, 0.4], [5, 5.4], [9, 0.0]], "float32")), [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]]
    )


def test_state_is_saved_and_never_trained():
    knn = layer(weights="distance", metric="cosine")
    assert not knn.trainable_weights and len(knn.non_trainable_weights) == 4
    copy = keras.layers.deserialize(keras.layers.serialize(knn))
    assert copy.get_config() == knn.get_config()


def test_stays_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert layer()(np.zeros((1, 2), "float32")).dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("change", [{"k": 0}, {"k": 7}, {"weights": "rank"}, {"metric": "l1"}])
def test_bad_settings(change):
    with pytest.raises(UserError, match=f"`{next(iter(change))}`"):
        layer(**change)


def test_rows_are_compared_by_their_differences_where_asked():
    """Three ways to the same neighbors: the product, a few candidates, and all rows."""
    random = np.random.default_rng(0)
    bank, x = random.normal(size=(6, 2)), random.normal(size=(20, 2)).astype("float32")
    found = []
    for candidates in (2, 4, 6):
        knn = layer(candidates=candidates)
        knn.bank.assign(bank)
        found.append(np.asarray(knn.nearest(x)))
    expected = np.argsort(np.square(x[:, None] - bank).sum(axis=2), axis=1)[:, :2]
    for index in found:
        np.testing.assert_array_equal(index, expected)
