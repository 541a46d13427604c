"""Random augmentation of an image together with its mask or its boxes."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from kvision import checks
from kvision.augment.projective import move_objects, projective, warp
from kvision.objects import Objects

__all__ = ["JointAugment"]

_IGNORE = 255  # kv.data.IGNORE


@dataclass(frozen=True)
class JointAugment:
    """Cuts a random window out of an image and its mask or boxes, flips or bends both, and changes the colors.

    Call the object with an image `(h, w, 3)` uint8, its labels and a `numpy.random.Generator`. It returns image and
    labels with the new size. Labels are a mask `(h, w)` uint8 or `kv.detection.Objects` with axis-aligned or rotated
    boxes.

    The image is resampled bilinearly and antialiased, a mask with the nearest pixel, both on the same grid. Pixels
    outside the image are black. Their label is 255, which does not count. If `rotate`, `shear` or `perspective` is not
    0, one projective transform does all geometric changes together; see `kv.augment.projective`.

    Axis-aligned boxes become the smallest boxes around their moved corners, and are clipped to the new image. Objects
    that are no longer visible are left out; see `visible`. Rotated boxes are not clipped. They stay if their center is
    inside. Objects with a side below one pixel are left out.

    Attributes:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        scale: Range (low, high) of the factor by which objects become larger. The factor is drawn log-uniformly. With
            1, objects keep their size, or the image fits the result if `fit` is True.
        stretch: Limit, in [0, 1), of the difference between the factors of height and width: 0.1 for 10 %.
        flip: Whether to swap left and right in half of the cases. No class may depend on left and right.
        color: Limit, in [0, 1), of the change of brightness, contrast and saturation, by factors from 1 - color to
            1 + color.
        rotate: Limit, in [0, pi], of the angle in radians. The image turns around the middle of the window.
        shear: Limit, in [0, 1), of the shift of x for each pixel of y.
        perspective: Limit, in [0, 0.5), of the tilt around both axes: 0.1 changes sizes by about 10 % at the borders.
        fit: Whether `scale` is relative to the largest size at which the whole image fits the result. Detectors need
            this for images of different sizes: with `scale=(0.8, 1.2)`, most images are visible as a whole or nearly
            as a whole. If False, `scale` is relative to the size of the objects in pixels.
        visible: Smallest share, in [0, 1], of the area of a moved axis-aligned box that must be inside the result. The
            default is our choice.

    Example:
        >>> augment = kv.augment.JointAugment(32, 32)
        >>> image, labels = np.zeros((40, 50, 3), "uint8"), np.zeros((40, 50), "uint8")
        >>> [part.shape for part in augment(image, labels, np.random.default_rng(0))]
        [(32, 32, 3), (32, 32)]
        >>> objects = kv.detection.Objects(np.array([[0.0, 0.0, 40.0, 50.0]]), np.array([7]))
        >>> augment(image, objects, np.random.default_rng(0))[1].boxes.tolist()
        [[0.0, 0.0, 32.0, 32.0]]
    """

    height: int
    width: int
    scale: tuple[float, float] = (0.75, 1.5)
    stretch: float = 0.0
    flip: bool = True
    color: float = 0.2
    rotate: float = 0.0
    shear: float = 0.0
    perspective: float = 0.0
    fit: bool = False
    visible: float = 0.3

    def __post_init__(self):
        if self.height < 1 or self.width < 1:
            expected = "a number of pixels, at least 1"
            raise checks.UserError("height, width", expected=expected, received=(self.height, self.width))
        if not 0 < self.scale[0] <= self.scale[1]:
            raise checks.UserError("scale", expected="0 < low <= high", received=self.scale)
        for name in ("stretch", "color", "shear"):
            if not 0 <= getattr(self, name) < 1:
                raise checks.UserError(name, expected="a number in [0, 1)", received=getattr(self, name))
        if not 0 <= self.rotate <= np.pi:
            raise checks.UserError("rotate", expected="an angle in radians, from 0 to pi", received=self.rotate)
        if not 0 <= self.perspective < 0.5:
            raise checks.UserError("perspective", expected="a number in [0, 0.5)", received=self.perspective)
        if not 0 <= self.visible <= 1:
            raise checks.UserError("visible", expected="a number in [0, 1]", received=self.visible)

    def __call__(
        self, image: np.ndarray, labels: np.ndarray | Objects, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | Objects]:
        sides, target = image.shape[:2], (self.height, self.width)
        low, high = np.log(self.scale)
        scale, stretch = np.exp(random.uniform(low, high)), np.exp(random.uniform(-1, 1) * np.log1p(self.stretch) / 2)
        if self.fit:
            scale *= min(self.height / sides[0], self.width / sides[1])
        window = (self.height / (scale * stretch), self.width / (scale / stretch))  # in pixels of the image
        # On each axis, the shorter one of image and window is inside the longer one.
        spare = [side - length for side, length in zip(sides, window, strict=True)]
        corner = [random.uniform(min(0.0, room), max(0.0, room)) for room in spare]
        flip, factors = random.random() < 0.5, random.uniform(1 - self.color, 1 + self.color, 3)
        flip = self.flip and flip
        bent = self._bent(random)
        matrix = projective(
            (corner[0] + window[0] / 2, corner[1] + window[1] / 2),
            target,
            zoom=(self.height / window[0], self.width / window[1]),
            flip=flip,
            **bent,
        )

        def drawn(picture: Image.Image, how: Image.Resampling, outside: int) -> np.ndarray:
            if bent:
                return warp(picture, matrix, target, how, outside)
            part = self._cut(picture, corner, window, how, outside)
            return np.ascontiguousarray(part[:, ::-1] if flip else part)

        found = drawn(self._recolored(image, factors), Image.Resampling.BILINEAR, 0)
        if isinstance(labels, Objects):
            return found, move_objects(labels, matrix, target, visible=self.visible)
        return found, drawn(Image.fromarray(labels), Image.Resampling.NEAREST, _IGNORE)

    def _bent(self, random: np.random.Generator) -> dict:
        """Draws the arguments of `projective` that are no flip, crop or zoom. Returns none if they are switched off."""
        if not (self.rotate or self.shear or self.perspective):
            return {}
        rotate, shear, down, across = random.uniform(-1, 1, 4)
        tilt = (self.perspective * down, self.perspective * across)
        return {"rotate": self.rotate * rotate, "shear": self.shear * shear, "perspective": tilt}

    def _recolored(self, image: np.ndarray, factors: np.ndarray) -> Image.Image:
        picture = Image.fromarray(image)
        if self.color:
            for kind, factor in zip(
                (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True
            ):
                picture = kind(picture).enhance(float(factor))
        return picture

    def _cut(self, picture: Image.Image, corner, window, how: Image.Resampling, outside: int) -> np.ndarray:
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
        found = np.full((*targets, *part.shape[2:]), outside, "uint8")
        found[top:bottom, left:right] = part[: self.height - top, : self.width - left]
        return found
