import numpy as np
import pytest
import videos

import kvision as kv
from kvision.luma_chroma import luma
from kvision.pixels.optical_flow import METHODS, optical_flow, warped

pytest.importorskip("cv2", reason="the extra `detection` is not installed")


def textured(size=(96, 128), seed=0):
    random = np.random.default_rng(seed)
    fine = np.kron(random.uniform(0, 40, (size[0] // 4, size[1] // 4)), np.ones((4, 4)))
    return luma(videos.moving(1, size=size, seed=seed)[0])[..., 0] * 0.8 + fine


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [(0, 3), (2, 0), (-2, 4)])
def test_a_shift_is_found(method, shift):
    wide = textured((112, 144))
    previous, image = wide[8:104, 8:136], np.roll(wide, (-shift[0], -shift[1]), (0, 1))[8:104, 8:136]
    found = optical_flow(image, previous, method=method)
    inner = found.flow[16:-16, 16:-16]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), shift, atol=0.3)
    assert found.mask[16:-16, 16:-16].mean() > 0.7
    residual = np.abs(warped(previous[..., None], found.flow)[..., 0] - image)[found.mask > 0]
    assert residual.mean() < 0.3 * np.abs(previous - image).mean()


def test_what_was_hidden_or_outside_is_masked():
    ground, block = textured(seed=1), textured(seed=2)
    image, previous = ground.copy(), ground.copy()
    previous[30:60, 40:70], image[30:60, 50:80] = block[30:60, 40:70], block[30:60, 40:70]
    found = optical_flow(image, previous)
    assert found.mask[33:57, 41:49].mean() < 0.2  # was behind the block
    assert found.mask[:25].mean() > 0.8  # the ground stands still
    moved = optical_flow(np.roll(ground, 12, 1), ground)
    assert moved.mask[:, :6].mean() < 0.2  # came in from outside


def test_the_warp_equals_the_one_of_tensors():
    random = np.random.default_rng(0)
    image, flow = random.normal(size=(20, 30, 3)), random.normal(0, 4, (20, 30, 2)).astype("float32")
    np.testing.assert_allclose(warped(image, flow), kv.ops.warp(image[None], flow[None])[0], atol=1e-5)


def test_other_arguments_are_refused():
    image = np.zeros((32, 32), "float32")
    for wrong in ((image, image[:16]), (image[:8], image[:8])):
        with pytest.raises(kv.UserError):
            optical_flow(*wrong)
    with pytest.raises(kv.UserError, match="method"):
        optical_flow(image, image, method="raft")
