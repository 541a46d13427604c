"""Counts how often each bin of chroma occurs in pictures."""

import numpy as np

from kvision import luma_chroma
from kvision.data import Pictures
from kvision.ops import chroma_bins

__all__ = ["bin_counts"]

_PIXELS = 4096  # of each picture; more do not change the frequencies


def bin_counts(pictures: Pictures, standard: str = "bt601", *, seed: int = 0) -> np.ndarray:
    """Counts how many pixels are nearest to each bin, for `kv.ops.chroma_bins.bin_weights`.

    Args:
        pictures: The training pictures.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.
        seed: Seed of the choice of at most 4,096 pixels of each picture.

    Returns:
        `(bins,)` int64 numbers of pixels.
    """
    places, random = chroma_bins.centers(standard), np.random.default_rng(seed)
    counts = np.zeros(len(places), "int64")
    for i in range(len(pictures)):
        pixels = pictures.example(i)[0].reshape(-1, 3)
        pixels = pixels[random.permutation(len(pixels))[:_PIXELS]]
        chroma = luma_chroma.luma_chroma(pixels, standard)[:, 1:] / 127.5
        # The term of the color itself is the same for all bins.
        nearest = ((places**2).sum(1) - 2 * chroma @ places.T).argmin(axis=1)
        counts += np.bincount(nearest, minlength=len(places))
    return counts
