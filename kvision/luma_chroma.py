"""Luma and chroma of RGB images in BT.601, BT.709 and BT.2020, for tensors of every backend and NumPy arrays.

Keras is imported only for tensors, so that programs that answer with a TFLite model do not wait for it.
`kv.ops.color_spaces` offers the same functions.
"""

from typing import Any

import numpy as np

from kvision import checks
from kvision.choices import COLOR_STANDARDS

__all__ = [
    "COEFFICIENTS",
    "analog",
    "clipped_share",
    "digital",
    "in_gamut",
    "luma",
    "luma_chroma",
    "rgb",
    "stacked",
]

COEFFICIENTS = dict(
    zip(COLOR_STANDARDS, ((0.299, 0.587, 0.114), (0.2126, 0.7152, 0.0722), (0.2627, 0.678, 0.0593)), strict=True)
)
"""The weights of R, G and B in the luma, by standard. They add up to 1."""

# Analog U and V are 0.492111 (B - Y) and 0.877283 (R - Y) in BT.601, so that |U| <= 0.436 and |V| <= 0.615.
_ANALOG = (0.492111, 0.877283)


def luma(image: Any, standard: str = "bt601") -> Any:
    """Computes the luma Y of gamma-encoded RGB.

    Args:
        image: `(..., 3)` RGB in any range, such as [0, 255]. A NumPy array gives a NumPy array.
        standard: `"bt601"` (JPEG, video of standard definition), `"bt709"` (HD video) or `"bt2020"` (UHD video).

    Returns:
        `(..., 1)` floats in the same range. If R = G = B, the luma is exactly this value.

    Raises:
        UserError: If the standard is unknown.

    Example:
        >>> from kvision import luma_chroma
        >>> luma_chroma.luma(np.array([255.0, 0.0, 0.0]))
        array([76.245])

    References:
        ITU-R BT.601-7, section 2.5.1; BT.709-6, item 3.2; BT.2020-2, table 4.
    """
    kr, _, kb = _weights(standard)
    red, green, blue = (_float(image)[..., i : i + 1] for i in range(3))
    # The usual sum Kr R + Kg G + Kb B is rounded, so that a gray pixel would not keep its value.
    return green + kr * (red - green) + kb * (blue - green)


def luma_chroma(image: Any, standard: str = "bt601") -> Any:
    """Converts RGB to luma and chroma (Y, Cb, Cr) without rounding, offset or headroom.

    Args:
        image: `(..., 3)` RGB in [0, r], where r is 1 or 255, for example.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(..., 3)`: Y in [0, r], Cb and Cr in [-r / 2, r / 2]. Gray pixels have Cb = Cr = 0. The 8-bit codes of files
        and videos are in `kv.pixels.ycbcr`.

    Raises:
        UserError: If the standard is unknown.

    Example:
        >>> from kvision import luma_chroma
        >>> luma_chroma.luma_chroma(np.array([0.0, 0.0, 1.0])).round(3)
        array([ 0.114,  0.5  , -0.081])
    """
    kr, _, kb = _weights(standard)
    image, y = _float(image), luma(image, standard)
    cb = (image[..., 2:3] - y) / (2 * (1 - kb))
    cr = (image[..., 0:1] - y) / (2 * (1 - kr))
    return stacked([y, cb, cr])


def rgb(y: Any, chroma: Any, standard: str = "bt601") -> Any:
    """Converts luma and chroma to RGB. This is the inverse of `luma_chroma`.

    Args:
        y: `(..., 1)` luma.
        chroma: `(..., 2)`: Cb and Cr in the same units.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(..., 3)` RGB, not clipped. Not every chroma is possible with every luma: values may leave the range of the
        image, and clipping them changes the luma. If Cb = Cr = 0, then R, G and B are exactly the luma.

    Raises:
        UserError: If the standard is unknown.

    Example:
        >>> from kvision import luma_chroma
        >>> luma_chroma.rgb(np.array([0.114]), np.array([0.5, -0.0813])).round(3)
        array([0., 0., 1.])
    """
    kr, kg, kb = _weights(standard)
    y, chroma = _float(y), _float(chroma)
    from_blue, from_red = 2 * (1 - kb) * chroma[..., 0:1], 2 * (1 - kr) * chroma[..., 1:2]  # B - Y and R - Y
    # With these differences a gray pixel keeps its exact value.
    return stacked([y + from_red, y - (kr * from_red + kb * from_blue) / kg, y + from_blue])


def analog(chroma: Any) -> Any:
    """Converts Cb and Cr of BT.601 to analog U and V, the form of `tf.image.rgb_to_yuv`.

    Args:
        chroma: `(..., 2)` Cb and Cr.

    Returns:
        `(..., 2)`: U and V. If the range of the image is 1, then |U| <= 0.436 and |V| <= 0.615.
    """
    u, v = _analog_factors()
    chroma = _float(chroma)
    return stacked([u * chroma[..., 0:1], v * chroma[..., 1:2]])


def digital(uv: Any) -> Any:
    """Converts analog U and V to Cb and Cr of BT.601. This is the inverse of `analog`."""
    u, v = _analog_factors()
    uv = _float(uv)
    return stacked([uv[..., 0:1] / u, uv[..., 1:2] / v])


def in_gamut(chroma: np.ndarray, standard: str = "bt601") -> np.ndarray:
    """Returns whether a chroma is possible in RGB with at least one luma.

    Args:
        chroma: `(..., 2)` Cb and Cr of an image with the range 1, each in [-0.5, 0.5].
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(...)` bool.
    """
    chroma = np.asarray(chroma, "float64")
    # The three differences to the luma fit into the range if the largest and the smallest are at most 1 apart.
    apart = rgb(np.zeros((*chroma.shape[:-1], 1)), chroma, standard)
    return np.ptp(apart, axis=-1) <= 1 + 1e-9


def clipped_share(image: np.ndarray) -> float:
    """Returns the share of pixels with a value outside of [0, 255] after rounding, before they are clipped.

    Args:
        image: `(..., 3)` RGB of `rgb`, in the units of 8-bit pixels.
    """
    rounded = np.round(np.asarray(image, "float64"))
    return float(np.mean(np.any((rounded < 0) | (rounded > 255), axis=-1)))


def stacked(planes: list) -> Any:
    """Joins planes along their last axis: NumPy arrays to a NumPy array, and tensors to a tensor."""
    if all(isinstance(plane, np.ndarray) for plane in planes):
        return np.concatenate(planes, -1)
    from keras import ops

    return ops.concatenate(planes, -1)


def _weights(standard: str) -> tuple[float, float, float]:
    return COEFFICIENTS[checks.one_of("standard", standard, COEFFICIENTS)]


def _analog_factors() -> tuple[float, float]:
    kr, _, kb = COEFFICIENTS["bt601"]
    return _ANALOG[0] * 2 * (1 - kb), _ANALOG[1] * 2 * (1 - kr)


def _float(x: Any) -> Any:
    """Returns floats: float64 arrays and all float tensors stay as they are, everything else becomes float32."""
    if isinstance(x, np.ndarray):
        return x if x.dtype.kind == "f" else x.astype("float32")
    if "float" in str(getattr(x, "dtype", "")):
        return x
    from keras import ops

    return ops.cast(x, "float32")
