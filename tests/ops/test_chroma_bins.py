"""Bins of chroma against slow loops."""

import numpy as np
import pytest

from kvision import luma_chroma
from kvision.checks import UserError
from kvision.ops import chroma_bins as bins

CENTERS = bins.centers()
CELL = bins.CELL


def colors(count: int = 400) -> np.ndarray:
    pixels = np.random.default_rng(0).uniform(0, 1, (count, 3))
    pixels[:8] = [[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)]
    return (2 * luma_chroma.luma_chroma(pixels)[:, 1:]).astype("float32")


@pytest.mark.parametrize("standard", ["bt601", "bt709", "bt2020"])
def test_every_color_of_rgb_is_in_a_cell(standard):
    places = bins.centers(standard)
    pixels = np.random.default_rng(1).uniform(0, 1, (3000, 3))
    chroma = 2 * luma_chroma.luma_chroma(pixels, standard)[:, 1:]
    nearest = np.abs(chroma[:, None] - places[None]).max(-1).min(1)
    assert nearest.max() <= CELL / 2 + 1e-6
    assert 200 <= len(places) <= 350 and (0, 0) in {tuple(place) for place in places.tolist()}
    assert len(places) < 21 * 21, "control: colors that RGB does not have are left out"


def test_soft_labels_are_the_gaussians_of_the_five_nearest_bins():
    chroma = colors(60)
    found = np.asarray(bins.soft_labels(chroma, CENTERS))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    for color, row in zip(chroma, found, strict=True):
        distances = np.array([np.hypot(*(color - center)) for center in CENTERS])
        nearest = np.sort(distances)[4]
        slow = np.where(distances <= nearest + 1e-4, np.exp(-(distances**2) / (2 * (CELL / 2) ** 2)), 0)
        np.testing.assert_allclose(row, slow / slow.sum(), atol=5e-3)


def test_the_mean_of_the_soft_labels_is_the_color():
    chroma = colors()
    labels = np.asarray(bins.soft_labels(chroma, CENTERS))
    assert np.abs(labels @ CENTERS - chroma).max() < CELL / 2
    hard = CENTERS[labels.argmax(-1)]
    assert np.abs(hard - chroma).max() > np.abs(labels @ CENTERS - chroma).max(), "control: one bin alone is coarser"
    far = np.asarray(bins.soft_labels(np.array([[5.0, 5.0]], "float32"), CENTERS))
    assert np.isfinite(far).all() and abs(far.sum() - 1) < 1e-5


def test_temperatures_from_the_mode_to_the_mean():
    logits = np.random.default_rng(0).normal(0, 2, (7, len(CENTERS))).astype("float32")
    share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    mean, mode = share @ CENTERS, CENTERS[logits.argmax(-1)]
    np.testing.assert_allclose(np.asarray(bins.annealed_mean(logits, CENTERS, temperature=1.0)), mean, atol=1e-5)
    np.testing.assert_allclose(np.asarray(bins.annealed_mean(logits, CENTERS, temperature=1e-3)), mode, atol=1e-5)
    powered = share ** (1 / 0.38)
    expected = powered / powered.sum(-1, keepdims=True) @ CENTERS
    np.testing.assert_allclose(np.asarray(bins.annealed_mean(logits, CENTERS)), expected, atol=1e-4)


def test_rare_colors_count_more():
    counts = np.zeros(len(CENTERS))
    gray = int(np.abs(CENTERS).sum(1).argmin())
    counts[gray], counts[0] = 990, 10
    weights = bins.bin_weights(counts, CENTERS)
    share = counts / counts.sum()
    assert abs(share @ weights - 1) < 1e-5
    assert weights[0] > 50 * weights[gray]
    assert weights.max() / weights.min() <= 2 * len(CENTERS), "bins without a pixel do not explode"
    unmixed = bins.bin_weights(counts, CENTERS, mixture=0.01)
    assert unmixed.max() / unmixed.min() > 1e4, "control: with less of the mixture they do"
    np.testing.assert_allclose(bins.bin_weights(counts, CENTERS, mixture=1.0), 1, atol=1e-5)
    # smoothing gives a neighbor of the frequent bin less weight than a bin far away
    near = int(np.abs(CENTERS - [CELL, 0]).sum(1).argmin())
    assert weights[near] < 0.5 * weights[np.abs(CENTERS - [0.5, -0.5]).sum(1).argmin()]


def test_wrong_numbers_are_named():
    for call, name in [
        (lambda: bins.centers(cell=0), "`cell`"),
        (lambda: bins.bin_weights(np.zeros(len(CENTERS)), CENTERS), "`counts`"),
        (lambda: bins.bin_weights(np.ones(len(CENTERS)), CENTERS, mixture=2), "`mixture`"),
    ]:
        with pytest.raises(UserError, match=name):
            call()
