"""Random changes to an image and its mask together."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from kvision import checks
from kvision.data.label_maps import IGNORE

__all__ = ["JointAugment"]


@dataclass(frozen=True)
class JointAugment:
    """A random cut-out at a random scale, flipped, in other colors: image (H, W, 3) uint8, labels (H, W) uint8 ->
    the same of (height, width).

    scale: how much larger things become, drawn log-uniformly from (low, high); 1 keeps their size. stretch: height and
    width by factors that differ up to so much, 0.1 for 10 %. flip: left and right, half of the time; classes must not
    tell left from right. color: brightness, contrast and saturation by factors from 1 - color to 1 + color, of the
    image alone. What lies outside of the image is black, and 255 in the labels, which does not count. The image is
    resampled bilinearly, antialiased, the labels by the nearest, both on one grid.
    """

    height: int
    width: int
    scale: tuple[float, float] = (0.75, 1.5)
    stretch: float = 0.0
    flip: bool = True
    color: float = 0.2

    def __post_init__(self):
        if self.height < 1 or self.width < 1:
            raise checks.error("height, width", expected="pixels, at least 1", received=(self.height, self.width))
        if not 0 < self.scale[0] <= self.scale[1]:
            raise checks.error("scale", expected="0 < low <= high", received=self.scale)
        for name, value in {"stretch": self.stretch, "color": self.color}.items():
            if not 0 <= value < 1:
                raise checks.error(name, expected="a share in [0, 1)", received=value)

    def __call__(
        self, image: np.ndarray, labels: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.log(self.scale)
        scale, stretch = np.exp(random.uniform(low, high)), np.exp(random.uniform(-1, 1) * np.log1p(self.stretch) / 2)
        window = (self.height / (scale * stretch), self.width / (scale / stretch))  # of the image's pixels
        # all of the smaller of the two is seen, wherever it lies
        spare = [side - length for side, length in zip(labels.shape, window, strict=True)]
        corner = [random.uniform(min(0.0, room), max(0.0, room)) for room in spare]
        flip, factors = random.random() < 0.5, random.uniform(1 - self.color, 1 + self.color, 3)
        picture = Image.fromarray(image)
        if self.color:
            for kind, factor in zip(
                (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True
            ):
                picture = kind(picture).enhance(float(factor))
        image = self._cut(picture, corner, window, Image.Resampling.BILINEAR, np.zeros(3, "uint8"))
        labels = self._cut(Image.fromarray(labels), corner, window, Image.Resampling.NEAREST, np.array(IGNORE, "uint8"))
        if self.flip and flip:
            image, labels = image[:, ::-1], labels[:, ::-1]
        return np.ascontiguousarray(image), np.ascontiguousarray(labels)

    def _cut(self, picture: Image.Image, corner, window, how: Image.Resampling, outside: np.ndarray) -> np.ndarray:
        """The window, resampled to (height, width); `outside` where it leaves the picture."""
        sides, targets = picture.size[::-1], (self.height, self.width)
        ends = []  # of each axis: where the picture lies in the result, and which part of it that is
        for start, length, side, target in zip(corner, window, sides, targets, strict=True):
            first = min(round(max(0.0, -start) * target / length), target - 1)
            last = max(first + 1, round(min(length, side - start) * target / length))
            box = [np.clip(start + edge * length / target, 0, side) for edge in (first, last)]
            ends.append((first, last, *box))
        (top, bottom, y0, y1), (left, right, x0, x1) = ends
        part = np.asarray(picture.resize((right - left, bottom - top), how, box=(x0, y0, x1, y1)))
        found = np.empty((*targets, *outside.shape), "uint8")
        found[:] = outside
        found[top:bottom, left:right] = part[: self.height - top, : self.width - left]
        return found
