import numpy as np

import kvision as kv
from kvision import luma_chroma
from kvision.ops import chroma_bins


def test_pixels_are_counted_at_their_nearest_bin():
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 9, 3)).astype("uint8")
    found = kv.colorization.bin_counts(kv.data.pictures_of(images))
    slow = np.zeros_like(found)
    for pixel in images.reshape(-1, 3).astype("float64"):
        chroma = luma_chroma.luma_chroma(pixel)[1:] / 127.5
        slow[np.hypot(*(chroma_bins.centers() - chroma).T).argmin()] += 1
    assert found.sum() == 180 and np.abs(found - slow).sum() <= 2  # two bins can be equally near


def test_large_pictures_are_sampled():
    images = np.random.default_rng(0).integers(0, 256, (1, 100, 90, 3)).astype("uint8")
    assert kv.colorization.bin_counts(kv.data.pictures_of(images)).sum() == 4096
