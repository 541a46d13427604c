"""Shows labels of pixels as colors, and writes them as PNG files."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

__all__ = ["colored", "overlay", "palette", "to_png"]

Colors = Sequence[Sequence[int]]


def palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """Returns Pascal VOC's RGB colors for the labels 0 to `count` - 1.

    The lowest three bits of a label are the highest bits of red, green and blue, and so on.

    Args:
        count: Number of colors, 0 to 256.

    Returns:
        One color (red, green, blue) per label, in [0, 255].
    """

    def channel(label: int, which: int) -> int:
        return sum((label >> 3 * bit + which & 1) << 7 - bit for bit in range(8))

    return tuple((channel(label, 0), channel(label, 1), channel(label, 2)) for label in range(count))


def colored(labels: np.ndarray, colors: Colors) -> np.ndarray:
    """Paints labels as a color picture.

    Args:
        labels: Labels `(height, width)`, integers from 0 to K - 1, or 255.
        colors: One RGB color per label. The label 255 is painted white.

    Returns:
        A picture `(height, width, 3)` uint8.
    """
    return _table(colors)[labels]


def overlay(image: np.ndarray, labels: np.ndarray, colors: Colors, *, opacity: float = 0.5) -> np.ndarray:
    """Blends an image with the colors of its labels.

    Args:
        image: An image `(height, width, 3)` uint8.
        labels: Labels `(height, width)`, see `colored`.
        colors: See `colored`.
        opacity: Share of the colors in [0, 1].

    Returns:
        A picture `(height, width, 3)` uint8.
    """
    return np.asarray(Image.blend(Image.fromarray(image), Image.fromarray(colored(labels, colors)), opacity))


def to_png(labels: np.ndarray, colors: Colors) -> bytes:
    """Writes labels as a PNG with a palette, as in Pascal VOC. The palette indices are the labels.

    Args:
        labels: Labels `(height, width)`, see `colored`.
        colors: See `colored`.

    Returns:
        The bytes of the file.
    """
    image = Image.fromarray(np.asarray(labels, "uint8"))
    image.putpalette(_table(colors).tobytes())  # this also changes the mode of the image to palette indices
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _table(colors: Colors) -> np.ndarray:
    table = np.zeros((256, 3), "uint8")
    table[: len(colors)], table[255] = np.asarray(colors, "uint8").reshape(-1, 3), 255
    return table
