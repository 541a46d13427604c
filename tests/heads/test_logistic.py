import numpy as np
import pytest
import threadpoolctl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kvision as kv


def test_standardization_is_folded_into_one_dense_layer(blobs):
    """Features of very different scales: the folded layer on raw ones equals scikit-learn on standardized ones."""
    (features, labels), (queries, _) = blobs
    scale = np.logspace(-2, 2, 24).astype("float32")
    features, queries = features * scale, queries * scale
    scaler = StandardScaler().fit(features)
    reference = LogisticRegression(max_iter=1000).fit(scaler.transform(features), labels)
    head = kv.heads.LogisticHead().fit(features, labels)
    expected = reference.predict_proba(scaler.transform(queries))
    np.testing.assert_allclose(head.predict_proba(queries), expected, atol=1e-5)
    layer = head.to_layer()
    assert type(layer).__name__ == "Dense" and len(layer.trainable_weights) == 2, "fine-tuning can start from it"


def test_c_is_the_inverse_strength_of_the_penalty(blobs):
    (features, labels), _ = blobs
    norms = [np.linalg.norm(kv.heads.LogisticHead(C).fit(features, labels).kernel_) for C in (1e-3, 1e-1, 10)]
    assert norms == sorted(norms) and norms[2] > 2 * norms[0]


def test_a_constant_feature_does_no_harm(blobs):
    (features, labels), _ = blobs
    features = features.copy()
    features[:, 3] = 7
    assert np.isfinite(kv.heads.LogisticHead().fit(features, labels).predict_proba(features)).all()


def test_blas_has_one_thread_while_it_fits_and_all_of_them_after(blobs, monkeypatch):
    (features, labels), _ = blobs
    seen, fit = [], LogisticRegression.fit

    def threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    monkeypatch.setattr(LogisticRegression, "fit", lambda *what: (seen.extend(threads()), fit(*what))[1])
    before = threads()
    kv.heads.LogisticHead().fit(features, labels)
    assert seen and set(seen) == {1} and threads() == before


@pytest.mark.parametrize("mean", [1e4, 1e6])
def test_columns_far_from_0_keep_their_digits(tmp_path, blobs, mean):
    """Their mean folded into the bias was wrong by .001 and by .15."""
    (features, labels), (queries, _) = blobs
    far = np.where(np.arange(24) < 3, mean, 0)
    features, queries = (features + far).astype("float32"), (queries + far).astype("float32")
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, labels)
    head = kv.heads.LogisticHead().fit(features, labels)
    np.testing.assert_allclose(head.predict_proba(queries), reference.predict_proba(queries), atol=2e-5)
    layer = head.to_layer()
    assert np.count_nonzero(head.center_) == 3 and len(layer.trainable_weights) == 2
    kv.heads.save(head, tmp_path / "head.npz")
    loaded = kv.heads.load(tmp_path / "head.npz")
    np.testing.assert_array_equal(loaded.predict_proba(queries), head.predict_proba(queries))
