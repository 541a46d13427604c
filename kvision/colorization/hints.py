"""Hints of a user: the colors of some pixels, drawn by hand or, in training, taken from the picture itself."""

from collections.abc import Iterable, Sequence

import numpy as np

from kvision import checks, luma_chroma

__all__ = ["hint_map", "random_hints"]

RADIUS = 2
"""A hint is a square with sides of 2 * RADIUS + 1 pixels. Zhang et al. draw sides of 1 to 9 pixels in training."""

_SIDES = 4  # largest radius in training
_MEAN_COUNT = 8  # as in the paper
_WHOLE = 0.02  # share of training pictures whose colors are all given, as in a colored key frame; 0.01 in the paper


def hint_map(
    hints: Iterable[Sequence[float]], size: tuple[int, int], *, radius: int = RADIUS, standard: str = "bt601"
) -> np.ndarray:
    """Draws the hints of a user as the input `hints` of a network.

    Args:
        hints: Rows of y, x, R, G and B: a place in pixels, and its color in [0, 255]. The brightness of the color does
            not count, because the picture has it already.
        size: Height and width of the picture in pixels.
        radius: The color is set in a square with sides of 2 * radius + 1 pixels around the place.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(height, width, 3)` float32: Cb and Cr scaled to [-1, 1], and 1 where they are known. A later hint covers an
        earlier one.

    Raises:
        UserError: If a hint has not five numbers, its place is outside of the picture, or its color is outside of [0,
            255].

    Example:
        >>> drawn = kv.colorization.hint_map([(10, 20, 255, 0, 0)], (32, 48))
        >>> drawn.shape, int(drawn[..., 2].sum()), drawn[10, 20].tolist()
        ((32, 48, 3), 25, [-0.33..., 1.0, 1.0])
    """
    height, width = size
    found = np.zeros((height, width, 3), "float32")
    for hint in hints:
        row = np.asarray(hint, "float64")
        inside = row.shape == (5,) and 0 <= row[0] < height and 0 <= row[1] < width
        if not inside or not (row[2:] >= 0).all() or not (row[2:] <= 255).all():
            expected = f"(y, x, R, G, B) with y < {height}, x < {width} and colors in [0, 255]"
            raise checks.UserError("hints", expected=expected, received=hint)
        y, x = int(row[0]), int(row[1])
        color = luma_chroma.luma_chroma(row[2:], standard)[1:] / 127.5
        found[_square(y, x, radius)] = (*color, 1)
    return found


def random_hints(chroma: np.ndarray, random: np.random.Generator, *, count: int | None = None) -> np.ndarray:
    """Takes the colors of random places from a picture, for training and for measurements.

    Args:
        chroma: `(height, width, 2)` true chroma, scaled to [-1, 1].
        random: The generator of the random numbers.
        count: Number of hints, each in a square with sides of `2 * RADIUS + 1` pixels. If None, the number is drawn as
            in the paper, from a geometric distribution that begins at 0, and sizes are drawn too. A few pictures get
            all colors.

    Returns:
        `(height, width, 3)` float32, as from `hint_map`. The color of a square is the mean of its pixels.

    References:
        Zhang et al. 2017, arXiv 1705.02999, section 3.2.
    """
    height, width = chroma.shape[:2]
    found = np.zeros((height, width, 3), "float32")
    drawn, whole = random.geometric(1 / _MEAN_COUNT) - 1, random.random() < _WHOLE
    if count is None and whole:
        return np.concatenate([chroma, np.ones((height, width, 1))], -1).astype("float32")
    for _ in range(drawn if count is None else count):
        y, x = int(random.integers(height)), int(random.integers(width))
        place = _square(y, x, int(random.integers(_SIDES + 1)) if count is None else RADIUS)
        found[place] = (*chroma[place].mean(axis=(0, 1)), 1)
    return found


def _square(y: int, x: int, radius: int) -> tuple[slice, slice]:
    return slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)
