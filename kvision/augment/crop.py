"""Random crops that are resized and sometimes flipped."""

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
    """Cuts a random box out of each image, resizes it, and sometimes flips it horizontally.

    The boxes are drawn as in torchvision's RandomResizedCrop.

    Args:
        size: Height and width of the result in pixels, or one number for both.
        area: Range of the share of the image that a box covers, in (0, 1].
        aspect: Range of the width of a box divided by its height.
        flip: Probability of a horizontal flip.
        interpolation: "bilinear", or "bicubic" as in MAE.
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> layer = kv.augment.RandomResizedCrop(16, area=(0.2, 1.0))
        >>> tuple(layer(np.zeros((2, 32, 32, 3), "uint8")).shape)
        (2, 16, 16, 3)

    References:
        Szegedy et al. 2015, arXiv 1409.4842, section 6.
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
        """Crops, resizes and flips the images."""
        batch, height, width = ops.shape(images)[:3]
        key = Key(key)
        drawn = boxes(key, batch, height, width, area=self.area, aspect=self.aspect)
        flips = keras.random.uniform((batch,), seed=key) < self.flip
        return resample(images, drawn, flips, self.size, interpolation=self.interpolation)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[-1])


def boxes(key: Key, batch, height, width, *, area: Sequence[float], aspect: Sequence[float]):
    """Draws a box for each image, as in torchvision's RandomResizedCrop.get_params.

    The share of the area and the logarithm of width / height are drawn uniformly, and the sides are rounded. The first
    of 10 draws that fits into the image is used, at a uniformly drawn position. If none of them fits, the box is the
    largest central box with an aspect in the range.

    Args:
        key: Source of the random numbers.
        batch: Number of images, an integer or a scalar tensor.
        height: Height of the images in pixels, an integer or a scalar tensor.
        width: Width of the images in pixels, an integer or a scalar tensor.
        area: Range of the share of the image that a box covers.
        aspect: Range of width / height.

    Returns:
        `(batch, 4)` float32: ymin, xmin, ymax, xmax in whole pixels, half-open.
    """
    drawn = keras.random.uniform((batch, 2 * _TRIES + 2), seed=key)
    height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
    target = height * width * (area[0] + (area[1] - area[0]) * drawn[:, :_TRIES])
    low, high = math.log(aspect[0]), math.log(aspect[1])
    ratio = ops.exp(low + (high - low) * drawn[:, _TRIES : 2 * _TRIES])
    widths, heights = ops.round(ops.sqrt(target * ratio)), ops.round(ops.sqrt(target / ratio))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    fit = ops.cast(fits, "int32")
    # This is 1 for the first try that fits, and 0 for all other tries.
    chosen = ops.cast(fits & (ops.cumsum(fit, axis=1) == 1), "float32")
    found = ops.any(fits, axis=1)
    whole = width / height
    fallback_width = ops.where(whole > aspect[1], ops.round(height * aspect[1]), width)
    fallback_height = ops.where(whole < aspect[0], ops.round(width / aspect[0]), height)
    # In an image that is one pixel high, a side may be rounded to 0. torchvision fails for such an image.
    fallback_width, fallback_height = ops.maximum(fallback_width, 1.0), ops.maximum(fallback_height, 1.0)
    w = ops.where(found, ops.sum(chosen * widths, axis=1), fallback_width)
    h = ops.where(found, ops.sum(chosen * heights, axis=1), fallback_height)
    y, x = (
        # The product may be rounded up to `space + 1`.
        ops.where(found, ops.minimum(ops.floor(drawn[:, i] * (space + 1)), space), ops.floor(space / 2))
        for i, space in ((2 * _TRIES, height - h), (2 * _TRIES + 1, width - w))
    )
    return ops.stack([y, x, y + h, x + w], axis=1)


def resample(images, boxes, flips, size: Sequence[int], *, interpolation: str = "bilinear"):
    """Cuts a box out of each image and resizes it.

    The result is the same as from slicing and then Pillow's resize. Pixel centers are at half integers, and the kernel
    is wider where the image shrinks (antialiasing). The kernel of "bilinear" is a triangle. The kernel of "bicubic" is
    that of Keys 1981 with a = -0.5. Pixels outside of the box have no weight. Unlike this function, Pillow also clips
    and rounds between rows and columns.

    Args:
        images: `(batch, height, width, 3)`.
        boxes: `(batch, 4)`, in the form that `boxes` returns.
        flips: `(batch,)` bool: whether to flip an image horizontally.
        size: Height and width of the result in pixels.
        interpolation: "bilinear" or "bicubic".

    Returns:
        `(batch, *size, 3)` float32, clipped to [0, 255].
    """
    ymin, xmin, ymax, xmax = (boxes[:, i] for i in range(4))
    height, width = ops.shape(images)[1:3]
    rows = _weights(ymin, ymax, ymin, ymax, height, size[0], interpolation)
    columns = _weights(
        ops.where(flips, xmax, xmin), ops.where(flips, xmin, xmax), xmin, xmax, width, size[1], interpolation
    )
    # Bicubic weights can be negative, and bilinear weights may sum to a little more than 1 in float32.
    return ops.clip(separable(ops.cast(images, "float32"), rows, columns), 0.0, 255.0)


def _weights(start, end, low, high, count, new_count: int, interpolation: str):
    """Returns the weight of each old pixel in each new pixel, `(batch, new_count, count)`.

    New pixels go from `start` to `end`, which is backwards for a flipped image.
    """
    step = ((end - start) / new_count)[:, None, None]
    centers = start[:, None, None] + step * (ops.arange(new_count, dtype="float32")[:, None] + 0.5)
    old = ops.arange(count, dtype="float32") + 0.5
    inside = (old > low[:, None, None]) & (old < high[:, None, None])
    distance = ops.abs(old - centers) / ops.maximum(ops.abs(step), 1.0)
    kernel = _keys(distance) if interpolation == "bicubic" else ops.maximum(1.0 - distance, 0.0)
    weights = ops.where(inside, kernel, 0.0)
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _keys(distance):
    """Returns the weights of the cubic convolution of Keys 1981, equation 15, for distances of at least 0."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return ops.where(distance < 1, near, ops.where(distance < 2, far, 0.0))
