"""Metrics of colored pictures: signal-to-noise ratios of the chroma and of RGB."""

import numpy as np

from kvision import checks, luma_chroma

__all__ = ["chroma_psnr", "psnr"]

_EXACT = 100.0  # decibel of two equal pictures; the ratio itself would be infinite


def psnr(truth: np.ndarray, found: np.ndarray, *, peak: float = 255.0) -> float:
    """Computes the peak signal-to-noise ratio of two pictures in decibel.

    Args:
        truth: The true values, of any shape.
        found: The predicted values in the same shape.
        peak: The span of the values.

    Returns:
        10 log10(peak^2 / mean squared error), and at most 100, the value for equal pictures.

    Raises:
        UserError: If the shapes differ.

    Example:
        >>> round(kv.metrics.psnr(np.zeros((4, 4, 3)), np.full((4, 4, 3), 25.5)), 2)
        20.0
    """
    truth, found = np.asarray(truth, "float64"), np.asarray(found, "float64")
    if truth.shape != found.shape:
        raise checks.UserError("found", expected=f"the shape {truth.shape}", received=found.shape)
    error = float(np.mean((truth - found) ** 2))
    return min(_EXACT, 10 * float(np.log10(peak**2 / error))) if error > 0 else _EXACT


def chroma_psnr(truth: np.ndarray, found: np.ndarray, standard: str = "bt601") -> float:
    """Computes the peak signal-to-noise ratio of Cb and Cr of two pictures in decibel.

    The brightness of the pictures does not count. The span of Cb and of Cr is 255.

    Args:
        truth: `(height, width, 3)` RGB in [0, 255].
        found: The predicted picture in the same form.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        The ratio, at most 100.

    Raises:
        UserError: If the shapes differ, or the standard is unknown.
    """
    pair = [luma_chroma.luma_chroma(np.asarray(image, "float64"), standard)[..., 1:] for image in (truth, found)]
    return psnr(*pair)
