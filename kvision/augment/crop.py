"""A random part of each image, resized and sometimes flipped: the one augmentation that all methods share."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks
from kvision.augment import ranges
from kvision.augment.keys import Key, Keyed
from kvision.augment.separable import separable

__all__ = ["INTERPOLATIONS", "RandomResizedCrop", "boxes", "resample"]

INTERPOLATIONS = ("bilinear", "bicubic")
_TRIES = 10


@keras.saving.register_keras_serializable(package="kvision")
class RandomResizedCrop(Keyed):
    """Random boxes, resized: images (B, H, W, 3) in [0, 255] -> (B, height, width, 3) float32 in [0, 255].

    The crop of Inception (Szegedy et al. 2015, arXiv 1409.4842, section 6) as torchvision's RandomResizedCrop has it,
    followed by a horizontal flip. `boxes` says how boxes are drawn, `resample` how they are resized.
    size: pixels, one number for a square or (height, width). area: range of the box's share of the image.
    aspect: range of its width / height. flip: probability. interpolation: "bilinear", or "bicubic" as MAE has it.
    Raises UserError for an argument out of its range.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        *,
        area: Sequence[float] = (0.08, 1.0),
        aspect: Sequence[float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        self.size = ranges.size("size", size)
        self.area = ranges.interval("area", area, 0.0, 1.0, open_low=True)
        self.aspect = ranges.interval("aspect", aspect, 0.0, math.inf, open_low=True)
        self.flip = ranges.number("flip", flip, 0.0, 1.0)
        self.interpolation = checks.one_of("interpolation", interpolation, INTERPOLATIONS)

    def transform(self, images, key):
        batch, height, width = ops.shape(images)[:3]
        key = Key(key)
        drawn = boxes(key, batch, height, width, area=self.area, aspect=self.aspect)
        flips = keras.random.uniform((batch,), seed=key) < self.flip
        return resample(images, drawn, flips, self.size, interpolation=self.interpolation)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "area": self.area,
            "aspect": self.aspect,
            "flip": self.flip,
            "interpolation": self.interpolation,
        }


def boxes(key: Key, batch, height, width, *, area: Sequence[float], aspect: Sequence[float]):
    """Draws one box an image -> (batch, 4) float32: ymin, xmin, ymax, xmax, whole pixels, half-open.

    As torchvision's RandomResizedCrop.get_params: the share of the area is uniform, the logarithm of width / height
    is uniform, sides are rounded, the first of 10 tries that fits is placed uniformly; if none fits, the largest
    central box whose aspect is within the range. batch, height, width: integers or scalar tensors.
    """
    drawn = keras.random.uniform((batch, 2 * _TRIES + 2), seed=key)
    height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
    target = height * width * (area[0] + (area[1] - area[0]) * drawn[:, :_TRIES])
    low, high = math.log(aspect[0]), math.log(aspect[1])
    ratio = ops.exp(low + (high - low) * drawn[:, _TRIES : 2 * _TRIES])
    widths, heights = ops.round(ops.sqrt(target * ratio)), ops.round(ops.sqrt(target / ratio))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    # 1 at the first try that fits, else 0
    fit = ops.cast(fits, "int32")
    chosen = ops.cast(fits & (ops.cumsum(fit, axis=1) == 1), "float32")
    found = ops.any(fits, axis=1)
    whole = width / height
    fallback_width = ops.where(whole > aspect[1], ops.round(height * aspect[1]), width)
    fallback_height = ops.where(whole < aspect[0], ops.round(width / aspect[0]), height)
    # rounding to 0 where an image is one pixel high: torchvision fails there
    fallback_width, fallback_height = ops.maximum(fallback_width, 1.0), ops.maximum(fallback_height, 1.0)
    w = ops.where(found, ops.sum(chosen * widths, axis=1), fallback_width)
    h = ops.where(found, ops.sum(chosen * heights, axis=1), fallback_height)
    y, x = (
        # the product may round up to `space + 1`
        ops.where(found, ops.minimum(ops.floor(drawn[:, i] * (space + 1)), space), ops.floor(space / 2))
        for i, space in ((2 * _TRIES, height - h), (2 * _TRIES + 1, width - w))
    )
    return ops.stack([y, x, y + h, x + w], axis=1)


def resample(images, boxes, flips, size: Sequence[int], *, interpolation: str = "bilinear"):
    """Cuts and resizes: images (B, H, W, 3), boxes (B, 4) as above, flips (B,) bool -> (B, *size, 3) float32.

    Like slicing and then Pillow's resize: half-pixel centers, and where it shrinks, the kernel widens by as much
    (antialiasing). "bilinear": a triangle. "bicubic": Keys 1981 with a = -0.5; Pillow clips and rounds its rows in
    between as well. The result is clipped to [0, 255]. Pixels outside of the box have no weight.
    """
    ymin, xmin, ymax, xmax = (boxes[:, i] for i in range(4))
    height, width = ops.shape(images)[1:3]
    rows = _weights(ymin, ymax, ymin, ymax, height, size[0], interpolation)
    columns = _weights(
        ops.where(flips, xmax, xmin), ops.where(flips, xmin, xmax), xmin, xmax, width, size[1], interpolation
    )
    # bicubic weights go below 0, and bilinear ones sum to a little more than 1 in float32
    return ops.clip(separable(ops.cast(images, "float32"), rows, columns), 0.0, 255.0)


def _weights(start, end, low, high, count, new_count: int, interpolation: str):
    """(B, new_count, count): of each old pixel in each new one. From start to end, which is backwards if flipped."""
    step = ((end - start) / new_count)[:, None, None]
    centers = start[:, None, None] + step * (ops.arange(new_count, dtype="float32")[:, None] + 0.5)
    old = ops.arange(count, dtype="float32") + 0.5
    inside = (old > low[:, None, None]) & (old < high[:, None, None])
    distance = ops.abs(old - centers) / ops.maximum(ops.abs(step), 1.0)
    kernel = _keys(distance) if interpolation == "bicubic" else ops.maximum(1.0 - distance, 0.0)
    weights = ops.where(inside, kernel, 0.0)
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _keys(distance):
    """Keys 1981, eq. 15: a cubic convolution of distances >= 0."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return ops.where(distance < 1, near, ops.where(distance < 2, far, 0.0))
