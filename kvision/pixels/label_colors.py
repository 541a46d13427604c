"""Labels as colors, and as files."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

__all__ = ["colored", "overlay", "palette", "to_png"]

Colors = Sequence[Sequence[int]]


def palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """Pascal VOC's colors of the labels 0 ... count - 1: the bits of a label, dealt out to R, G, B from the highest."""

    def channel(label: int, which: int) -> int:
        return sum((label >> 3 * bit + which & 1) << 7 - bit for bit in range(8))

    return tuple((channel(label, 0), channel(label, 1), channel(label, 2)) for label in range(count))


def colored(labels: np.ndarray, colors: Colors) -> np.ndarray:
    """labels (H, W), 0 ... K - 1 or 255 -> (H, W, 3) uint8; 255 is white."""
    return _table(colors)[labels]


def overlay(image: np.ndarray, labels: np.ndarray, colors: Colors, *, opacity: float = 0.5) -> np.ndarray:
    """image (H, W, 3) uint8, labels (H, W) -> (H, W, 3) uint8: the image under its labels' colors."""
    return np.asarray(Image.blend(Image.fromarray(image), Image.fromarray(colored(labels, colors)), opacity))


def to_png(labels: np.ndarray, colors: Colors) -> bytes:
    """labels (H, W), 0 ... K - 1 or 255 -> a PNG of these numbers with a palette, as Pascal VOC's."""
    image = Image.fromarray(np.asarray(labels, "uint8"))
    image.putpalette(_table(colors).tobytes())  # which makes it one of palette entries
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _table(colors: Colors) -> np.ndarray:
    table = np.zeros((256, 3), "uint8")
    table[: len(colors)], table[255] = np.asarray(colors, "uint8").reshape(-1, 3), 255
    return table
