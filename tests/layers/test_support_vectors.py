import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def test_scores_of_pairs_by_hand():
    random = np.random.default_rng(0)
    counts, x = [2, 1, 3], random.normal(size=(5, 4)).astype("float32")
    layer = kv.layers.SupportVectors(counts=counts, width=4, kernel="rbf", gamma=0.3)
    for state in (layer.center, layer.bank, layer.coefficients, layer.intercept):
        state.assign(random.normal(size=state.shape))
    center, bank, coefficients, intercept = (
        np.asarray(state) for state in (layer.center, layer.bank, layer.coefficients, layer.intercept)
    )
    own = np.repeat([0, 1, 2], counts)
    for row, found in zip(x, np.asarray(layer(x)), strict=True):
        alike = np.exp(-0.3 * np.square(row - center - bank).sum(axis=1))
        for place, (first, second) in enumerate([(0, 1), (0, 2), (1, 2)]):
            score = (alike * coefficients[:, second])[own == first].sum()
            score += (alike * coefficients[:, first])[own == second].sum()
            assert abs(found[place] - score - intercept[place]) < 1e-5


def test_is_restored_from_its_config_and_knows_its_kernels():
    layer = kv.layers.SupportVectors(counts=[2, 3], width=4, kernel="poly", gamma=0.5, coef0=1, degree=2)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config() and copy.compute_output_shape((None, 4)) == (None, 1)
    assert not layer.trainable_weights
    with pytest.raises(UserError, match="`kernel`"):
        kv.layers.SupportVectors(counts=[2, 3], width=4, kernel="laplace", gamma=0.5)
