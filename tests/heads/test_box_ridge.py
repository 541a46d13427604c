from typing import Any

import keras
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from kvision import checks
from kvision.heads import BoxRidge, box_ridge


def pairs(count=60, width=7, columns=4, classes=2, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(0.3, 1, (count, width)).astype("float32")
    mix = random.normal(0, 0.2, (width, columns))
    deltas = features @ mix + random.normal(0, 0.1, (count, columns)) + 0.2
    return features, deltas, np.arange(count) % classes


def by_scikit_learn(features, deltas, queries, penalty):
    """The same with scikit-learn's ridge on the augmented features and the whitened deltas."""
    factor = 20 / np.linalg.norm(features, axis=1).mean()

    def augmented(rows):
        return np.concatenate([rows * factor, np.ones((len(rows), 1))], 1)

    def fit(x, y):
        mean = y.mean(0)
        values, vectors = np.linalg.eig((y - mean).T @ (y - mean) / len(y))
        whiten = vectors @ np.diag(1 / np.sqrt(values + 0.001)) @ vectors.T
        ridge = Ridge(penalty, fit_intercept=False).fit(augmented(x), (y - mean) @ whiten)
        return ridge.predict(augmented(queries)) @ np.linalg.inv(whiten) + mean

    return fit


@pytest.mark.parametrize("columns", [4, 5])
@pytest.mark.parametrize(("count", "width"), [(60, 7), (20, 30)], ids=["primal", "dual"])
def test_equals_scikit_learn(columns, count, width, monkeypatch):
    monkeypatch.setattr(box_ridge, "_ROWS", 8)  # several blocks
    features, deltas, labels = pairs(count, width, columns)
    queries = np.random.default_rng(1).normal(0, 1, (9, width)).astype("float32")
    found = BoxRidge(30.0).fit(features, deltas, labels, 2).predict(queries)
    oracle = by_scikit_learn(features, deltas, queries, 30.0)
    expected = np.stack([oracle(features[labels == k], deltas[labels == k]) for k in range(2)], 1)
    assert found.shape == (9, 2, columns) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    plain = np.stack([Ridge(30.0).fit(features[labels == k], deltas[labels == k]).predict(queries) for k in (0, 1)], 1)
    assert np.abs(plain - expected).max() > 1e-3, "control: the bias is penalized, the features are rescaled"


def test_both_systems_have_the_same_solution():
    random = np.random.default_rng(0)
    rows, targets = random.normal(0, 1, (20, 6)), random.normal(0, 1, (20, 4))
    primal = box_ridge._primal(iter([rows[:15], rows[15:]]), targets, 2.0, 6)
    np.testing.assert_allclose(primal, box_ridge._dual(iter([rows[:15], rows[15:]]), targets, 2.0, 6))
    np.testing.assert_allclose(primal, np.linalg.solve(rows.T @ rows + 2 * np.eye(6), rows.T @ targets))


def test_a_large_penalty_predicts_the_mean_and_a_small_one_the_deltas():
    features, _, labels = pairs()
    mix = np.random.default_rng(2).normal(0, 0.2, (7, 4))
    deltas = features @ mix
    mean = BoxRidge(1e12).fit(features, deltas, labels, 2).predict(features)
    for label in range(2):
        np.testing.assert_allclose(mean[:, label], np.tile(deltas[labels == label].mean(0), (60, 1)), atol=1e-6)
    exact = BoxRidge(1e-6).fit(features, deltas, labels, 2).predict(features)
    np.testing.assert_allclose(exact, np.stack([deltas, deltas], 1), atol=1e-4)


def test_equal_deltas_and_classes_with_few_pairs():
    features, deltas, labels = pairs()
    labels[labels == 1] = 0
    labels[0] = 1  # one pair
    found = BoxRidge().fit(features, np.full_like(deltas, 0.25), labels, 3).predict(features)
    np.testing.assert_allclose(found[:, 0], 0.25, atol=1e-6)
    assert (found[:, 1:] == 0).all()
    nothing = BoxRidge().fit(features[:0], deltas[:0], labels[:0], 2)
    assert (nothing.predict(features) == 0).all()


def test_half_precision_and_features_of_zeros():
    features, deltas, labels = pairs()
    whole = BoxRidge().fit(features, deltas, labels, 2).predict(features)
    half = BoxRidge().fit(features.astype("float16"), deltas, labels, 2).predict(features)
    np.testing.assert_allclose(half, whole, atol=1e-3)
    zeros = BoxRidge().fit(features * 0, deltas, labels, 2).predict(features)
    np.testing.assert_allclose(zeros[0], [deltas[labels == k].mean(0) for k in (0, 1)], atol=1e-6)


def test_layer_and_arrays_compute_the_same(tmp_path):
    features, deltas, labels = pairs(columns=5)
    ridge = BoxRidge().fit(features, deltas, labels, 2)
    inputs = keras.Input((7,), name="features")
    layer = ridge.to_layer()
    assert layer.name == "deltas" and layer.compute_output_shape((None, 7)) == (None, 2, 5)
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    model: Any = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(features)), ridge.predict(features), atol=1e-6)
    again = BoxRidge.from_arrays(**ridge.arrays())
    np.testing.assert_array_equal(again.predict(features), ridge.predict(features))


def test_wrong_arguments():
    features, deltas, labels = pairs()
    wrong = {
        "deltas": (features, deltas[:, :3], labels),
        "features": (features[1:], deltas, labels),
        "labels": (features, deltas, labels + 1),
        "classes": (features, deltas, labels, 0),
    }
    for name, arguments in wrong.items():
        with pytest.raises(checks.UserError, match=f"`{name}`"):
            BoxRidge().fit(*arguments, *([] if len(arguments) == 4 else [2]))
    with pytest.raises(checks.UserError, match="`penalty`"):
        BoxRidge(0).fit(features, deltas, labels, 2)
    with pytest.raises(checks.UserError, match="not finite"):
        BoxRidge().fit(features * np.inf, deltas, labels, 2)
    with pytest.raises(checks.UserError, match="`kernel`"):
        BoxRidge.from_arrays(np.zeros((3, 8)), np.zeros((2, 5)))
