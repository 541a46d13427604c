import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.ops import chroma_bins


def test_scores_pass_and_become_colors(tmp_path):
    centers = chroma_bins.centers(cell=0.25)
    logits = np.random.default_rng(0).normal(0, 3, (2, 5, 4, len(centers))).astype("float32")
    scores = kv.layers.ChromaScores(cell=0.25)
    np.testing.assert_array_equal(np.asarray(scores(logits)), logits)
    np.testing.assert_array_equal(scores.centers, centers)
    expected = np.asarray(chroma_bins.annealed_mean(logits, centers, temperature=0.5))
    given = keras.Input((None, None, len(centers)))
    layer = kv.layers.AnnealedMean(cell=0.25, temperature=0.5)
    model = keras.Model(given, layer(scores(given)))
    assert model.output_shape == (None, None, None, 2)
    np.testing.assert_allclose(np.asarray(model(logits)), expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(kv.load_model(tmp_path / "model.keras")(logits)), expected, atol=1e-5)
    assert np.abs(np.asarray(kv.layers.AnnealedMean(cell=0.25)(logits)) - expected).max() > 1e-3, "control"


def test_wrong_numbers_are_named():
    with pytest.raises(UserError, match="`temperature`"):
        kv.layers.AnnealedMean(temperature=0)
    with pytest.raises(UserError, match="`cell`"):
        kv.layers.ChromaScores(cell=2)
