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
