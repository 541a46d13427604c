"""The colorfulness of a picture, as people perceive it, and whether a picture has color at all."""

import numpy as np

__all__ = ["colorfulness", "has_color"]

_LEAST = 1.0  # mean difference of R, G and B in gray levels; JPEG files of gray pictures stay below it


def colorfulness(image: np.ndarray) -> float:
    """Computes the colorfulness of a picture, as people perceive it.

    Args:
        image: `(height, width, 3)` RGB in [0, 255].

    Returns:
        0 for a gray picture, about 15 for a slightly colorful, 45 for a quite colorful and 109 for an extremely
        colorful picture.

    Example:
        >>> kv.metrics.colorfulness(np.full((4, 4, 3), 90, "uint8"))
        0.0

    References:
        Hasler and Suesstrunk 2003, "Measuring colourfulness in natural images", section 7.
    """
    red, green, blue = (np.asarray(image, "float64")[..., i] for i in range(3))
    across, along = red - green, (red + green) / 2 - blue
    spread = np.hypot(across.std(), along.std())
    return float(spread + 0.3 * np.hypot(across.mean(), along.mean()))


def has_color(image: np.ndarray) -> bool:
    """Returns whether a picture `(height, width, 3)` uint8 is not gray, also if it was a JPEG file."""
    return float(np.ptp(image, axis=2).mean()) > _LEAST
