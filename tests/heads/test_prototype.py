import keras
import numpy as np
import pytest

import kvision as kv


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
def test_against_a_slow_oracle(tmp_path, blobs, centered, normalized):
    """Also far from the origin, where the terms of the product cancel."""
    (features, labels), (queries, _) = blobs
    head = kv.heads.PrototypeHead(centered=centered, normalized=normalized).fit(features, labels)
    center = features.mean(axis=0) if centered else 0 * features[0]

    def placed(x):
        x = x.astype("float64") - center
        return x / np.linalg.norm(x, axis=1, keepdims=True) if normalized else x

    means = [placed(features)[labels == label].mean(axis=0) for label in range(4)]
    distances = np.stack([np.square(placed(queries) - mean).sum(axis=1) for mean in means], axis=1)
    expected = np.exp(-distances + distances.min(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(queries), expected, atol=1e-5)
    if not normalized:
        far = kv.heads.PrototypeHead(centered=centered).fit(features + 1000, labels)
        np.testing.assert_allclose(far.predict_proba(queries + 1000), expected, atol=1e-2)
    kv.heads.save(head, tmp_path / "head.npz")
    np.testing.assert_array_equal(kv.heads.load(tmp_path / "head.npz").predict(queries), head.predict(queries))
    inputs = keras.Input((24,))
    keras.Model(inputs, head.to_layer()(inputs)).save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded.predict_on_batch(queries), expected, atol=1e-5)


def test_centering_and_length_matter(blobs):
    (features, labels), (queries, _) = blobs
    found = [
        kv.heads.PrototypeHead(centered=c, normalized=n).fit(features, labels).predict_proba(queries)
        for c, n in ((False, False), (False, True), (True, True))
    ]
    assert min(np.abs(a - b).max() for a, b in ((found[0], found[1]), (found[1], found[2]))) > 0.01
