import numpy as np
import pytest


@pytest.fixture(scope="session")
def blobs():
    """Features of four overlapping classes: (train (160, 24), labels), (queries (90, 24), labels), float32."""
    random = np.random.default_rng(0)
    centers = random.normal(0, 1, (4, 24))
    labels = np.arange(250) % 4
    features = (centers[labels] + random.normal(0, 1.2, (250, 24)) + 3).astype("float32")
    return (features[:160], labels[:160]), (features[160:], labels[160:])


@pytest.fixture(scope="session")
def converted(blobs):
    """Fits an estimator, compares its layer with it on the queries, and returns the layer."""
    import kvision as kv

    def check(estimator, classes=4, atol=1e-5, fitted=False):
        (features, labels), (queries, _) = blobs
        estimator = estimator if fitted else estimator.fit(features, labels % classes)
        layer = kv.heads.from_sklearn(estimator)
        if hasattr(estimator, "predict_proba"):
            expected = estimator.predict_proba(queries)
        else:
            scores = estimator.decision_function(queries)
            scores = np.stack([0 * scores, scores], axis=1) if scores.ndim == 1 else scores
            expected = np.exp(scores - scores.max(axis=1, keepdims=True))
            expected /= expected.sum(axis=1, keepdims=True)
            np.testing.assert_array_equal(np.asarray(layer(queries)).argmax(axis=1), scores.argmax(axis=1))
        found = np.asarray(layer(queries))
        assert found.dtype == np.float32 and layer.name == "probabilities"
        assert layer.compute_output_shape(queries.shape) == found.shape
        np.testing.assert_allclose(found, expected, atol=atol)
        return layer

    return check
