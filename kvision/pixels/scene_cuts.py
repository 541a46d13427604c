"""Finds the cuts between the scenes of a video."""

import numpy as np
from PIL import Image

__all__ = ["SceneCuts"]

_SMALL = (64, 36)  # width and height in pixels; noise, grain and small motions average out
# In the two videos of the tests there are 5 cuts, and one more where they are joined. At cuts the correlation is at
# most 0.2, and at all other frames, including fast rides with a hand-held camera, at least 0.54. The limit is between.
_CORRELATION = 0.35
_DIFFERENCE = 1.0  # levels; smaller changes are no cut: noise on black frames has no correlation


class SceneCuts:
    """Finds cuts from the luma of one frame after the other.

    Two neighboring frames belong to different scenes if their small luma images are not correlated. The correlation
    does not depend on brightness and contrast, so flicker of old films and slow fades are no cuts. A flash is a cut
    before and after it. A dissolve over many frames is not found.

    Example:
        >>> from kvision.pixels.scene_cuts import SceneCuts
        >>> rising, falling = np.tile(np.arange(64.0), (36, 1)), np.tile(np.arange(64.0)[::-1], (36, 1))
        >>> cuts = SceneCuts()
        >>> [cuts(image) for image in (rising, rising + 50, falling)]
        [False, False, True]
    """

    def __init__(self):
        self._last: np.ndarray | None = None

    def __call__(self, luma: np.ndarray) -> bool:
        """Returns whether a new scene begins with a frame.

        Args:
            luma: `(height, width)` in [0, 255], of the frame that follows the frame of the last call. The size may
                change.

        Returns:
            True if the frame and the last one belong to different scenes. False for the first frame.
        """
        picture = Image.fromarray(np.asarray(luma, "float32"))
        small = np.asarray(picture.resize(_SMALL, Image.Resampling.BOX), "float64")
        last, self._last = self._last, small
        return (
            last is not None and np.abs(small - last).mean() > _DIFFERENCE and _correlation(last, small) < _CORRELATION
        )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the correlation of two images, or 0 if one of them has a single color."""
    a, b = a - a.mean(), b - b.mean()
    spread = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / spread) if spread > 0 else 0.0
