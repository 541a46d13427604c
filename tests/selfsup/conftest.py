import numpy as np
import pytest


@pytest.fixture(scope="session")
def blobs():
    """Features of four overlapping classes: (train (240, 12), labels), (test (200, 12), labels), float32."""
    random = np.random.default_rng(0)
    centers = random.normal(0, 1.3, (4, 12))
    labels = (np.arange(440) % 4).astype("int32")
    features = (centers[labels] + random.normal(0, 1, (440, 12)) + 3).astype("float32")
    features[:, 5] *= 20  # of another scale than the others
    features[:, 7] = 4.2  # says nothing
    return (features[:240], labels[:240]), (features[240:], labels[240:])
