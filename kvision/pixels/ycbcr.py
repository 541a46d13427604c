"""8-bit codes of luma and chroma, as in JPEG files (full range) and in videos (studio range)."""

import numpy as np

from kvision import checks, luma_chroma

__all__ = ["RANGES", "from_codes", "to_codes"]

RANGES = {"full": (0.0, 255.0, 255.0), "studio": (16.0, 219.0, 224.0)}
"""Code of black, span of the luma and span of the chroma. The code of chroma 0 is 128."""


def to_codes(image: np.ndarray, standard: str = "bt601", *, span: str = "full") -> np.ndarray:
    """Converts RGB to 8-bit codes of Y, Cb and Cr.

    Args:
        image: `(..., 3)` RGB in [0, 255].
        standard: `"bt601"`, `"bt709"` or `"bt2020"`. JPEG uses BT.601. Videos use BT.709 in HD and BT.601 below.
        span: `"full"`: luma 0 to 255, as in JPEG. `"studio"`: luma 16 to 235 and chroma 16 to 240, as in most videos.

    Returns:
        `(..., 3)` uint8: Y, Cb, Cr.

    Raises:
        UserError: If the standard or the span is unknown.

    Example:
        >>> from kvision.pixels import ycbcr
        >>> ycbcr.to_codes(np.array([255, 255, 255]), span="studio").tolist()
        [235, 128, 128]

    References:
        ITU-R BT.601-7, section 2.5.3; JFIF 1.02, page 3.
    """
    black, luma, chroma = RANGES[checks.one_of("span", span, RANGES)]
    found = luma_chroma.luma_chroma(np.asarray(image, "float64") / 255, standard)
    codes = found * np.array([luma, chroma, chroma]) + np.array([black, 128, 128])
    return np.clip(np.round(codes), 0, 255).astype("uint8")


def from_codes(codes: np.ndarray, standard: str = "bt601", *, span: str = "full") -> np.ndarray:
    """Converts 8-bit codes of Y, Cb and Cr to RGB. This is the inverse of `to_codes`, apart from rounding.

    Args:
        codes: `(..., 3)` uint8 Y, Cb and Cr.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.
        span: `"full"` or `"studio"`.

    Returns:
        `(..., 3)` uint8 RGB. Colors that RGB does not have are clipped.

    Raises:
        UserError: If the standard or the span is unknown.
    """
    black, luma, chroma = RANGES[checks.one_of("span", span, RANGES)]
    found = (np.asarray(codes, "float64") - np.array([black, 128, 128])) / np.array([luma, chroma, chroma])
    image = luma_chroma.rgb(found[..., :1], found[..., 1:], standard)
    return np.clip(np.round(255 * image), 0, 255).astype("uint8")
