"""Random changes of color: brightness, contrast, saturation, hue, grayscale and solarization."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from kvision.augment import ranges
from kvision.augment.keys import Key, Keyed
from kvision.augment.some import drawn, either

__all__ = ["ColorJitter", "RandomGray", "Solarize", "gray", "jitter", "solarize"]

_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and Pillow.
_ORDERS = np.array(list(itertools.permutations(range(4))), "int32")
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


@keras.saving.register_keras_serializable(package="kvision")
class ColorJitter(Keyed):
    """Changes brightness, contrast, saturation and hue of each image, like torchvision's ColorJitter.

    Each image draws its own factors. For a brightness of b, the factor is drawn uniformly from [max(0, 1 - b), 1 + b].
    Contrast and saturation work in the same way. The four changes are applied in a random order.

    Args:
        brightness: Strength of the change of brightness, at least 0. 0 changes nothing.
        contrast: Strength of the change of contrast, at least 0.
        saturation: Strength of the change of saturation, at least 0.
        hue: Largest shift of the hue in turns of the color circle, in [0, 0.5].
        probability: Probability that an image is changed at all.
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> layer = kv.augment.ColorJitter(0.4, 0.4, 0.4, 0.1, probability=0.8)
        >>> tuple(layer(np.zeros((2, 32, 32, 3), "uint8"), key=[1, 2]).shape)
        (2, 32, 32, 3)
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        *,
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        self.brightness = ranges.number("brightness", brightness, 0.0, math.inf)
        self.contrast = ranges.number("contrast", contrast, 0.0, math.inf)
        self.saturation = ranges.number("saturation", saturation, 0.0, math.inf)
        self.hue = ranges.number("hue", hue, 0.0, 0.5)
        self.probability = ranges.number("probability", probability, 0.0, 1.0)

    def draw(self, key, batch):
        """Draws the color changes of each image, in the form of the arguments of `jitter`.

        Args:
            key: Two integers.
            batch: Number of images.

        Returns:
            Factors `(batch, 3)`, hues `(batch,)` and orders `(batch, 4)`.
        """
        u = keras.random.uniform((batch, 6), seed=Key(key))
        strength = np.array([self.brightness, self.contrast, self.saturation], "float32")
        low = np.maximum(1 - strength, 0)
        factors = low + (1 + strength - low) * u[:, :3]
        hues = self.hue * (2 * u[:, 3] - 1)
        changed = u[:, 4] < self.probability
        orders = ops.take(_ORDERS, ops.minimum(ops.cast(u[:, 5] * 24, "int32"), 23), axis=0)
        return ops.where(changed[:, None], factors, 1.0), ops.where(changed, hues, 0.0), orders

    def transform(self, images, key):
        """Changes the colors of the images."""
        factors, hues, orders = self.draw(key, ops.shape(images)[0])
        return jitter(images, factors, hues if self.hue else None, orders)


def jitter(images, factors, hues, orders):
    """Applies given changes of color.

    A factor f changes a value x to f * x + (1 - f) * reference. The reference is black for brightness, the mean of the
    grayscale image for contrast, and the grayscale image for saturation. Values are clipped to [0, 255] after each
    change, as in torchvision. For uint8 images, torchvision also rounds the values.

    Args:
        images: `(batch, height, width, 3)` float32 in [0, 255].
        factors: `(batch, 3)`, the factors of brightness, contrast and saturation, at least 0. A factor of 1 changes
            nothing.
        hues: `(batch,)` shifts of the hue in turns of the color circle, in [-0.5, 0.5]. If None, hues do not change.
        orders: `(batch, 4)` int32, the order of brightness (0), contrast (1), saturation (2) and hue (3).

    Returns:
        Images of the same shape.
    """
    x = ops.transpose(images, (3, 0, 1, 2))  # Computing with planes of one color is faster.
    operation = ops.one_hot(orders, 4, dtype="float32")  # (batch, 4 slots, 4 operations)
    by_slot = ops.sum(operation[..., :3] * factors[:, None], axis=-1) + operation[..., _HUE]
    turn = ops.argmax(orders, axis=1)  # The slot of the hue.
    slots = range(4)
    if hues is None:
        for slot in slots:
            x = _blend(x, by_slot[:, slot], operation[:, slot])
        return ops.transpose(x, (1, 2, 3, 0))
    # A shift of the hue is expensive, so it runs only once for all images. The first loop runs the changes that come
    # before the shift in the order of each image, and the second loop runs the changes that come after it.
    for slot in slots[:3]:
        x = _blend(x, ops.where(turn > slot, by_slot[:, slot], 1.0), operation[:, slot])
    x = _turned(x, hues)
    for slot in slots[1:]:
        x = _blend(x, ops.where(turn < slot, by_slot[:, slot], 1.0), operation[:, slot])
    return ops.transpose(x, (1, 2, 3, 0))


def _blend(x, factor, operation):
    # `x` holds planes (3, batch, height, width), `operation` is one-hot (batch, 4), and a factor of 1 changes nothing.
    light = _light(x)
    mean = ops.mean(light, axis=(1, 2))
    flat = (1 - factor) * operation[:, _CONTRAST] * mean
    share = (1 - factor) * operation[:, _SATURATION]
    reference = share[:, None, None] * light + flat[:, None, None]
    return ops.clip(factor[:, None, None] * x + reference, 0.0, 255.0)


def _light(x):
    """Returns the grayscale plane of three color planes."""
    return _GRAY[0] * x[0] + _GRAY[1] * x[1] + _GRAY[2] * x[2]


def _turned(x, hues):
    # As in HSV, the largest and the smallest of the three values of a pixel do not change.
    red, green, blue = x[0], x[1], x[2]
    value = ops.maximum(ops.maximum(red, green), blue)
    chroma = value - ops.minimum(ops.minimum(red, green), blue)
    scale = 1 / ops.where(chroma > 0, chroma, 1.0)
    sector = ops.where(
        value == red,
        (green - blue) * scale,
        ops.where(value == green, (blue - red) * scale + 2, (red - green) * scale + 4),
    )
    sector = sector + 6 * hues[:, None, None]
    planes = []
    for offset in (5, 3, 1):
        k = sector + offset  # k is in [1, 13), because the sector is in [-1, 5] and the turn in [-3, 3].
        k = k - 6 * ops.floor(k / 6)
        planes.append(value - chroma * ops.clip(ops.minimum(k, 4 - k), 0.0, 1.0))
    return ops.stack(planes)


@keras.saving.register_keras_serializable(package="kvision")
class RandomGray(Keyed):
    """Makes some of the images gray, with three equal channels, like torchvision's RandomGrayscale.

    Args:
        probability: Probability that an image becomes gray.
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If `probability` is outside of [0, 1].
    """

    def __init__(self, probability: float = 0.2, *, seed: int | None = None, name: str | None = None):
        super().__init__(seed=seed, name=name)
        self.probability = ranges.number("probability", probability, 0.0, 1.0)

    def transform(self, images, key):
        """Makes some of the images gray."""
        return either(drawn(key, ops.shape(images)[0], self.probability), gray(images), images)


@keras.saving.register_keras_serializable(package="kvision")
class Solarize(Keyed):
    """Inverts the bright values of some of the images, like torchvision's RandomSolarize.

    Args:
        probability: Probability that an image is changed.
        threshold: Values of at least this number are inverted, in [0, 256].
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If an argument is out of its range.

    References:
        Grill et al. 2020, arXiv 2006.07733, appendix B.
    """

    def __init__(
        self, probability: float = 0.2, threshold: float = 128.0, *, seed: int | None = None, name: str | None = None
    ):
        super().__init__(seed=seed, name=name)
        self.probability = ranges.number("probability", probability, 0.0, 1.0)
        self.threshold = ranges.number("threshold", threshold, 0.0, 256.0)

    def transform(self, images, key):
        """Inverts the bright values of some of the images."""
        return either(drawn(key, ops.shape(images)[0], self.probability), solarize(images, self.threshold), images)


def gray(images):
    """Returns gray images `(batch, height, width, 3)`: each channel is 0.299 red + 0.587 green + 0.114 blue."""
    return ops.matmul(images, np.repeat(np.array(_GRAY, "float32")[:, None], 3, axis=1))


def solarize(images, threshold: float = 128.0):
    """Returns images in which each value x of at least `threshold` is replaced by 255 - x."""
    return ops.where(images >= threshold, 255.0 - images, images)
