import numpy as np
import pytest
import videos

from kvision.colorization import warp_error
from kvision.luma_chroma import luma

pytest.importorskip("cv2", reason="the extra `detection` is not installed")


def clip(count=4, seed=0):
    return videos.moving(count, size=(96, 128), seed=seed)


def test_colors_that_move_along_have_no_error_and_colors_of_each_frame_have():
    frames, random = clip(), np.random.default_rng(0)
    gray = luma(frames)
    own = frames - gray
    flickering = np.clip(gray + own * random.uniform(0.2, 1.5, (4, 1, 1, 1)), 0, 255).astype("uint8")
    noise = np.clip(gray + random.normal(0, 40, frames.shape), 0, 255).astype("uint8")
    steady, nervous, wild = (warp_error(video, frames) for video in (frames, flickering, noise))
    assert steady.rgb < 5e-4 and steady.chroma < 5e-4 and steady.pairs == 3 and steady.share > 0.5
    assert nervous.chroma > 4 * steady.chroma and wild.chroma > 20 * steady.chroma
    still = warp_error(np.stack([frames[0]] * 3))
    assert still.rgb == still.chroma == 0


def test_the_error_by_hand():
    """A still picture whose second frame is 0.2 redder: the flow of the reference is 0."""
    frames = np.stack([clip(1)[0] // 2] * 2)
    colored = frames.copy()
    colored[1, ..., 0] += 51
    found = warp_error(colored, frames)
    assert found.rgb == pytest.approx(0.2**2 / 3, abs=1e-6)
    own = np.array([0.2, 0, 0]) - 0.299 * 0.2
    assert found.chroma == pytest.approx(np.mean(own**2), abs=1e-6)


def test_without_motion_compensation_the_error_would_be_large():
    frames = videos.moving(4, size=(96, 128), step=6)
    still = np.mean(((frames[1:].astype(float) - frames[:-1]) / 255) ** 2)
    assert warp_error(frames).rgb < 0.1 * still


def test_pairs_over_cuts_are_left_out():
    frames = [*clip(3, seed=1), *clip(3, seed=2)]
    found = warp_error(frames)
    assert found.pairs == 4 and found.rgb < 1e-3
    assert np.isnan(warp_error(frames[:1]).rgb)
    with pytest.raises(ValueError, match="zip"):
        warp_error(frames, frames[:-1])
