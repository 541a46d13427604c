"""Recognizes whether a picture is in color, gray, or gray with a tint such as sepia."""

import numpy as np

from kvision import luma_chroma

__all__ = ["tone"]

_GRAY = 3.0  # largest mean chroma of a gray picture, in gray levels; JPEG adds about one level
_OBJECT = 0.002  # smallest share of the pixels that is an object in color, and no speck on a scan
_BINS = 8  # ranges of luma
# Largest share of the chroma that the luma does not explain, in a picture with a tint. In 48 photographs of streets it
# is at least 0.32. After a sepia tone, saved as JPEG of quality 75, it is at most 0.19.
_UNEXPLAINED = 0.25
_SQUARE = 8  # pixels; JPEG's errors of the color disappear in means over squares of this side
_SQUARES = 32  # smallest number of squares on the shorter side; for smaller pictures the squares are smaller


def tone(image: np.ndarray) -> str:
    """Returns the tone of a picture.

    In a toned picture, the color of a pixel depends on its luma alone. In a color photograph it does not. This is not
    certain for pictures of less than about 100 x 100 pixels: many of them have one object in front of one color.

    Args:
        image: `(height, width, 3)` uint8 RGB.

    Returns:
        `"gray"`, `"sepia"` (a warm tint), `"tint"` (any other tint) or `"color"`.

    Example:
        >>> from kvision.sepia import sepia
        >>> from kvision.pixels.tones import tone
        >>> ramp = np.repeat(np.arange(256, dtype="uint8").reshape(16, 16, 1), 3, 2)
        >>> tone(ramp), tone(sepia(ramp))
        ('gray', 'sepia')
    """
    found = luma_chroma.luma_chroma(np.asarray(image, "float32"))
    if np.abs(found[..., 1:]).mean() <= _GRAY:
        # A photograph with one small object in color is not gray.
        strong = np.percentile(np.abs(found[..., 1:]).max(axis=-1), 100 * (1 - _OBJECT)) > 3 * _GRAY
        return "color" if strong else "gray"
    y, chroma = found[..., 0], found[..., 1:]
    bins = np.minimum(y / (256 / _BINS), _BINS - 1).astype(int).ravel()
    counts = np.maximum(np.bincount(bins, minlength=_BINS), 1)
    means = np.stack([np.bincount(bins, chroma[..., i].ravel(), _BINS) / counts for i in range(2)], -1)
    rest = np.abs(_means(chroma - means[bins].reshape(chroma.shape))).mean()
    if rest > _UNEXPLAINED * np.abs(chroma).mean():
        return "color"
    blue, red = chroma.reshape(-1, 2).mean(axis=0)
    return "sepia" if red > 0 > blue else "tint"


def _means(planes: np.ndarray) -> np.ndarray:
    """Returns the means over squares. Pixels in incomplete squares at the edges are left out."""
    side = min(_SQUARE, max(1, min(planes.shape[:2]) // _SQUARES))
    down, across = (length // side for length in planes.shape[:2])
    return planes[: down * side, : across * side].reshape(down, side, across, side, -1).mean(axis=(1, 3))
