import numpy as np
import pytest

import kvision as kv
from kvision import luma_chroma
from kvision.checks import UserError


def test_against_tensorflow_and_a_change_of_brightness():
    import tensorflow as tf

    random = np.random.default_rng(0)
    truth = random.integers(60, 180, (16, 20, 3)).astype("float32")
    found = truth + random.normal(0, 9, truth.shape).astype("float32")
    assert abs(kv.metrics.psnr(truth, found) - float(tf.image.psnr(truth, found, 255.0))) < 1e-4
    yuv = [luma_chroma.digital(tf.image.rgb_to_yuv(x).numpy()[..., 1:]) for x in (truth, found)]
    assert abs(kv.metrics.chroma_psnr(truth, found) - float(tf.image.psnr(*yuv, 255.0))) < 1e-3
    assert kv.metrics.chroma_psnr(truth, truth + 30) == 100 and kv.metrics.psnr(truth, truth + 30) < 20
    assert kv.metrics.psnr(truth, truth) == 100
    assert kv.metrics.chroma_psnr(truth, found, "bt709") != kv.metrics.chroma_psnr(truth, found)


def test_shapes_are_compared():
    with pytest.raises(UserError, match="`found`"):
        kv.metrics.psnr(np.zeros((2, 3)), np.zeros((3, 2)))
