"""The parts of answers that people look at."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kvision.pixels import label_colors

__all__ = ["Bars", "Mask", "Picture", "png"]


def png(image: np.ndarray) -> bytes:
    """Returns an image `(height, width, 3)` uint8 as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Bars:
    """A number for each class."""

    values: Mapping[str, float]

    def text(self, top: int) -> str:
        """Returns the classes with the largest values."""
        ranked = sorted(self.values.items(), key=lambda item: -item[1])[:top]
        return "   ".join(f"{label} {value:.3f}" for label, value in ranked)

    def pictures(self) -> dict[str, bytes]:
        """Returns none."""
        return {}


@dataclass(frozen=True)
class Mask:
    """A label for each pixel of an image.

    Attributes:
        image: `(height, width, 3)` uint8.
        labels: `(height, width)` uint8.
        colors: An (R, G, B) for each label.
    """

    image: np.ndarray
    labels: np.ndarray
    colors: Sequence[Sequence[int]]

    def text(self, top: int) -> str:
        """Returns nothing: the shares of the classes are `Bars`."""
        return ""

    def pictures(self) -> dict[str, bytes]:
        """Returns the image under its labels' colors, and the labels as numbers with a palette."""
        overlay = label_colors.overlay(self.image, self.labels, self.colors)
        return {"overlay": png(overlay), "mask": label_colors.to_png(self.labels, self.colors)}


@dataclass(frozen=True)
class Picture:
    """An image as an answer, `(height, width, 3)` uint8."""

    image: np.ndarray

    def text(self, top: int) -> str:
        """Returns nothing."""
        return ""

    def pictures(self) -> dict[str, bytes]:
        """Returns the image."""
        return {"picture": png(self.image)}
