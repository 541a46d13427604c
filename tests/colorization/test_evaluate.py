import numpy as np
import pytest

import kvision as kv
from kvision import luma_chroma
from kvision.checks import UserError


def pictures(count: int = 6) -> kv.data.Pictures:
    return kv.data.pictures_of(np.random.default_rng(0).integers(0, 256, (count, 12, 16, 3)).astype("uint8"))


def test_scores_of_each_picture_are_averaged():
    test = pictures()

    def half(_, image):
        return (image + luma_chroma.luma(image)) / 2

    found = kv.colorization.evaluate(half, test, progress=False)
    pairs = [(test.original(i), np.round(half(i, test.original(i)))) for i in range(6)]
    assert abs(found.chroma_psnr - np.mean([kv.metrics.chroma_psnr(*pair) for pair in pairs])) < 1e-6
    assert abs(found.psnr - np.mean([kv.metrics.psnr(*pair) for pair in pairs])) < 1e-6
    colorful = [[kv.metrics.colorfulness(image) for image in pair] for pair in pairs]
    assert abs(found.colorfulness_error - np.mean([abs(a - b) for a, b in colorful])) < 1e-6
    assert found.interval[0] <= found.chroma_psnr <= found.interval[1] and found.clipped == 0
    perfect = kv.colorization.evaluate(lambda _, image: image, test, progress=False)
    assert perfect.chroma_psnr > 50 > found.chroma_psnr and perfect.colorfulness_error < 0.1
    assert kv.colorization.evaluate(lambda _, image: image + 300.0, test, progress=False).clipped == 1


def test_the_mean_chroma_is_the_best_constant():
    test = pictures()
    chroma = kv.colorization.mean_chroma(test)
    every = np.concatenate([luma_chroma.luma_chroma(test.original(i))[..., 1:].reshape(-1, 2) for i in range(6)])
    np.testing.assert_allclose(chroma, every.mean(0), atol=1e-3)
    image = test.original(0)
    found = kv.colorization.constant(image, chroma)
    np.testing.assert_allclose(luma_chroma.luma_chroma(found)[..., 1:] - chroma, 0, atol=1e-2)
    np.testing.assert_allclose(luma_chroma.luma(found), luma_chroma.luma(image), atol=1e-3)


def test_no_pictures_are_told():
    with pytest.raises(UserError, match="`pairs`"):
        kv.colorization.Scores.of([])
