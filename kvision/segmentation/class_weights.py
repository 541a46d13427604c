"""Class weights for losses over pixels."""

import numpy as np

__all__ = ["median_frequency"]


def median_frequency(class_pixels: np.ndarray, image_pixels: np.ndarray) -> np.ndarray:
    """Computes class weights that balance frequent and rare classes.

    The frequency of a class is the number of its pixels, divided by the number of pixels of all images that contain the
    class. The weight of a class is the median of all frequencies, divided by the frequency of the class.

    Args:
        class_pixels: `(classes,)` number of pixels of each class.
        image_pixels: `(classes,)` number of pixels of all images that contain the class. `MaskedImages.counts()` of
            `kv.data` returns both arrays.

    Returns:
        `(classes,)` float64 weights. A class without pixels has the weight 0.

    Example:
        >>> kv.segmentation.median_frequency([80, 20, 10], [100, 100, 100])
        array([0.25, 1.  , 2.  ])

    References:
        Eigen and Fergus 2015, arXiv 1411.4734, section 6.3.2.
    """
    own, whole = np.asarray(class_pixels, "float64"), np.asarray(image_pixels, "float64")
    there = own > 0
    frequency = np.divide(own, whole, out=np.zeros_like(own), where=there)
    median = np.median(frequency[there]) if there.any() else 0.0
    return np.divide(median, frequency, out=np.zeros_like(own), where=there)
