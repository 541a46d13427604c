"""Random augmentation of an image and its mask together."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from kvision import checks
from kvision.data.label_maps import IGNORE

__all__ = ["JointAugment"]


@dataclass(frozen=True)
class JointAugment:
    """Cuts a random window of random scale out of an image and its mask, flips both, and changes the image's colors.

    Call the object with an image `(h, w, 3)` uint8, its labels `(h, w)` uint8 and a `numpy.random.Generator`. It
    returns image and labels with the new size. The image is resampled bilinearly and antialiased, the labels with the
    nearest pixel, both on the same grid. Pixels outside the image are black. Their label is 255, which does not count.

    Attributes:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        scale: Range (low, high) of the factor by which objects become larger. The factor is drawn log-uniformly. With
            1, objects keep their size.
        stretch: Limit, in [0, 1), of the difference between the factors of height and width: 0.1 for 10 %.
        flip: Whether to swap left and right in half of the cases. No class may depend on left and right.
        color: Limit, in [0, 1), of the change of brightness, contrast and saturation, by factors from 1 - color to
            1 + color.

    Example:
        >>> augment = kv.data.JointAugment(32, 32)
        >>> image, labels = np.zeros((40, 50, 3), "uint8"), np.zeros((40, 50), "uint8")
        >>> [part.shape for part in augment(image, labels, np.random.default_rng(0))]
        [(32, 32, 3), (32, 32)]
    """

    height: int
    width: int
    scale: tuple[float, float] = (0.75, 1.5)
    stretch: float = 0.0
    flip: bool = True
    color: float = 0.2

    def __post_init__(self):
        if self.height < 1 or self.width < 1:
            expected = "a number of pixels, at least 1"
            raise checks.UserError("height, width", expected=expected, received=(self.height, self.width))
        if not 0 < self.scale[0] <= self.scale[1]:
            raise checks.UserError("scale", expected="0 < low <= high", received=self.scale)
        for name, value in {"stretch": self.stretch, "color": self.color}.items():
            if not 0 <= value < 1:
                raise checks.UserError(name, expected="a number in [0, 1)", received=value)

    def __call__(
        self, image: np.ndarray, labels: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.log(self.scale)
        scale, stretch = np.exp(random.uniform(low, high)), np.exp(random.uniform(-1, 1) * np.log1p(self.stretch) / 2)
        window = (self.height / (scale * stretch), self.width / (scale / stretch))  # in pixels of the image
        # On each axis, the shorter one of image and window is inside the longer one.
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
        """Returns the window, resampled to (height, width). Pixels outside the picture get the value `outside`."""
        sides, targets = picture.size[::-1], (self.height, self.width)
        # For each axis: the place of the picture in the result, and the part of the picture that is shown there.
        ends = []
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
