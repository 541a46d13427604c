"""Weights that keep rare classes from being forgotten."""

import numpy as np

__all__ = ["median_frequency"]


def median_frequency(own: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """(K,) weights: the median of all classes' frequencies over a class's own (Eigen & Fergus 2015, arXiv 1411.4734,
    section 6.3.2), where the frequency of a class is its pixels over those of all images in which it occurs.

    own, whole: these two counts, (K,), as `MaskedImages.counts` gives them. A class that does not occur weighs 0.
    """
    own, whole = np.asarray(own, "float64"), np.asarray(whole, "float64")
    there = own > 0
    frequency = np.divide(own, whole, out=np.zeros_like(own), where=there)
    median = np.median(frequency[there]) if there.any() else 0.0
    return np.divide(median, frequency, out=np.zeros_like(own), where=there)
