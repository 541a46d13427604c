"""The usual sepia tone: applies it, recognizes it, and brings a toned picture back to gray.

Keras is imported only for tensors.
"""

from typing import Any

import numpy as np

from kvision.luma_chroma import luma

__all__ = ["TONE", "gray", "is_sepia", "sepia"]

TONE = (1.351, 1.203, 0.937)
"""R, G and B of a sepia picture, as multiples of its gray: the sums of the rows of the usual sepia matrix."""

_MATRIX = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
# A picture is sepia if its mean distance from the tone is at most this share of its mean tint R - B. 95 toned
# photographs of streets, saved as JPEG of quality 75, have up to 0.08, and the photographs themselves 5 or more. Of
# 10,000 images of CIFAR-10, two brown ones are below 0.1.
_LARGEST = 0.1
_LEAST_TINT = 2.0  # gray levels; below it a picture is gray
# JPEG stores color at half of the resolution. Its errors disappear in the means over squares of this side, in pixels.
_SQUARE = 8


def sepia(image: np.ndarray) -> np.ndarray:
    """Tones a picture with the usual sepia matrix.

    Args:
        image: `(..., 3)` RGB in [0, 255].

    Returns:
        `(..., 3)` uint8.

    Example:
        >>> from kvision.sepia import sepia
        >>> sepia(np.array([100, 100, 100])).tolist()
        [135, 120, 94]

    References:
        W3C Filter Effects Module Level 1, section 6.2, `sepia(100%)`.
    """
    return np.clip(np.round(np.asarray(image, "float64") @ _MATRIX.T), 0, 255).astype("uint8")


def is_sepia(images: Any) -> Any:
    """Recognizes pictures that were toned with the usual sepia matrix.

    A toned pixel is a multiple of `TONE`, apart from clipping. `kv.pixels.tones` recognizes other tints too.

    Args:
        images: `(batch, height, width, 3)` RGB in [0, 255].

    Returns:
        `(batch,)` bool.
    """
    if isinstance(images, np.ndarray):
        return _is_sepia(images)
    from keras import ops

    images = ops.cast(images, "float32")
    found = images[..., 2:3] / TONE[2]  # blue is never clipped
    expected = ops.minimum(found * ops.convert_to_tensor(TONE[:2], "float32"), 255.0)
    apart = ops.average_pool(images[..., :2] - expected, _SQUARE, padding="same", data_format="channels_last")
    tint = ops.mean(images[..., 0] - images[..., 2], axis=(1, 2))
    return ops.logical_and(tint > _LEAST_TINT, ops.mean(ops.abs(apart), axis=(1, 2, 3)) < _LARGEST * tint)


def gray(images: Any, standard: str = "bt601") -> Any:
    """Brings color, gray and sepia pictures to one plane of gray.

    Args:
        images: `(batch, height, width, 3)` RGB in [0, 255].
        standard: The standard of the luma, see `kv.ops.color_spaces`.

    Returns:
        `(batch, height, width, 1)` float32: the luma. For a sepia picture it is the gray before the tone. The tone
        makes pixels up to a fifth brighter, and clips the lightest ones in red and green. A NumPy array gives a NumPy
        array.
    """
    toned = is_sepia(images)[:, None, None, None]
    if isinstance(images, np.ndarray):
        images = images.astype("float32")
        return np.where(toned, images[..., 2:3] / TONE[2], luma(images, standard))
    from keras import ops

    images = ops.cast(images, "float32")
    return ops.where(toned, images[..., 2:3] / TONE[2], luma(images, standard))


def _is_sepia(images: np.ndarray) -> np.ndarray:
    """Computes `is_sepia` in NumPy."""
    images = images.astype("float32")
    expected = np.minimum(images[..., 2:3] / TONE[2] * np.array(TONE[:2], "float32"), 255)
    apart = images[..., :2] - expected
    spare = [-length % _SQUARE for length in apart.shape[1:3]]
    # Pooling with the padding "same" puts the smaller half before, and does not count the padding in the means.
    around = [(0, 0), *((length // 2, length - length // 2) for length in spare), (0, 0)]
    apart = np.pad(apart, around, constant_values=np.nan)
    down, across = apart.shape[1] // _SQUARE, apart.shape[2] // _SQUARE
    means = np.nanmean(apart.reshape(-1, down, _SQUARE, across, _SQUARE, 2), axis=(2, 4))
    tint = np.mean(images[..., 0] - images[..., 2], axis=(1, 2))
    return (tint > _LEAST_TINT) & (np.abs(means).mean(axis=(1, 2, 3)) < _LARGEST * tint)
