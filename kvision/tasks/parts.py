"""The visible parts of answers."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kvision.pixels import drawn_boxes, label_colors

__all__ = ["Bars", "Boxes", "Comparison", "Mask", "Picture", "png"]


def png(image: np.ndarray) -> bytes:
    """Returns an image `(height, width, 3)` uint8 as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Bars:
    """A number for each class.

    Attributes:
        values: The numbers by class name.
    """

    values: Mapping[str, float]

    def text(self, top: int) -> str:
        """Returns the `top` classes with the largest numbers."""
        ranked = sorted(self.values.items(), key=lambda item: -item[1])[:top]
        return "   ".join(f"{label} {value:.3f}" for label, value in ranked)

    def pictures(self) -> dict[str, bytes]:
        """Returns no pictures."""
        return {}


@dataclass(frozen=True)
class Boxes:
    """Objects in an image, highest score first.

    Attributes:
        image: `(height, width, 3)` uint8.
        boxes: `(n, 4)` or, for rotated boxes, `(n, 5)`, in pixels of the image.
        labels: The class index of each object.
        names: The class name of each object.
        scores: The score of each object in [0, 1].
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: Sequence[int]
    names: Sequence[str]
    scores: Sequence[float]

    def text(self, top: int) -> str:
        """Returns the numbers of objects of the `top` most frequent classes, such as `12 RBC, 1 WBC`."""
        counts = Counter(self.names).most_common(top)
        return ", ".join(f"{count} {name}" for name, count in counts) or "no objects"

    def pictures(self) -> dict[str, bytes]:
        """Returns the image with its boxes, class names and scores under the name `boxes`."""
        palette = label_colors.palette(256)[1:]  # without black, the first color
        colors = [palette[label % len(palette)] for label in self.labels]
        captions = [f"{name} {score:.2f}" for name, score in zip(self.names, self.scores, strict=True)]
        return {"boxes": png(drawn_boxes.draw(self.image, self.boxes, captions, colors))}


@dataclass(frozen=True)
class Comparison:
    """A picture before and after a change, side by side.

    Attributes:
        before: `(height, width, 3)` uint8.
        after: `(height, width, 3)` uint8.
    """

    before: np.ndarray
    after: np.ndarray

    def text(self, top: int) -> str:
        """Returns no text."""
        return ""

    def pictures(self) -> dict[str, bytes]:
        """Returns both pictures side by side under the name `before_after`."""
        return {"before_after": png(np.concatenate([self.before, self.after], axis=1))}


@dataclass(frozen=True)
class Mask:
    """A label for each pixel of an image.

    Attributes:
        image: `(height, width, 3)` uint8.
        labels: `(height, width)` uint8.
        colors: A color (R, G, B) for each label.
    """

    image: np.ndarray
    labels: np.ndarray
    colors: Sequence[Sequence[int]]

    def text(self, top: int) -> str:
        """Returns an empty text. A separate part, `Bars`, shows the shares of the classes."""
        return ""

    def pictures(self) -> dict[str, bytes]:
        """Returns `overlay` (the image with the colors of its labels on top) and `mask` (the labels with a palette)."""
        overlay = label_colors.overlay(self.image, self.labels, self.colors)
        return {"overlay": png(overlay), "mask": label_colors.to_png(self.labels, self.colors)}


@dataclass(frozen=True)
class Picture:
    """An image as an answer.

    Attributes:
        image: `(height, width, 3)` uint8.
    """

    image: np.ndarray

    def text(self, top: int) -> str:
        """Returns no text."""
        return ""

    def pictures(self) -> dict[str, bytes]:
        """Returns the image under the name `picture`."""
        return {"picture": png(self.image)}
