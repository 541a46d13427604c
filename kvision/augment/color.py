"""Colors that change at random while what is shown stays: brightness, contrast, saturation, hue, gray, solarized."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from kvision.augment import ranges
from kvision.augment.keys import Key, Keyed
from kvision.augment.some import drawn, either

__all__ = ["ColorJitter", "RandomGray", "Solarize", "gray", "jitter", "solarize"]

_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, of torchvision and Pillow
_ORDERS = np.array(list(itertools.permutations(range(4))), "int32")
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


@keras.saving.register_keras_serializable(package="kvision")
class ColorJitter(Keyed):
    """torchvision's ColorJitter: images (B, H, W, 3) in [0, 255] -> the same shape, float32 in [0, 255].

    Each image has factors uniform over [max(0, 1 - b), 1 + b], b its brightness, contrast or saturation, a hue uniform
    over [-hue, hue] turns of the color circle, and one of the 24 orders of these four. See `jitter`.
    brightness, contrast, saturation: numbers >= 0. hue: in [0, 0.5]. probability: of an image to be changed at all.
    Raises UserError for an argument out of its range.
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
        """key (2,) -> factors (batch, 3), hues (batch,), orders (batch, 4), as `jitter` takes them."""
        u = keras.random.uniform((batch, 6), seed=Key(key))
        strength = np.array([self.brightness, self.contrast, self.saturation], "float32")
        low = np.maximum(1 - strength, 0)
        factors = low + (1 + strength - low) * u[:, :3]
        hues = self.hue * (2 * u[:, 3] - 1)
        changed = u[:, 4] < self.probability
        orders = ops.take(_ORDERS, ops.minimum(ops.cast(u[:, 5] * 24, "int32"), 23), axis=0)
        return ops.where(changed[:, None], factors, 1.0), ops.where(changed, hues, 0.0), orders

    def transform(self, images, key):
        factors, hues, orders = self.draw(key, ops.shape(images)[0])
        return jitter(images, factors, hues if self.hue else None, orders)

    def get_config(self):
        return {
            **super().get_config(),
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "hue": self.hue,
            "probability": self.probability,
        }


def jitter(images, factors, hues, orders):
    """Applies given changes: images (B, H, W, 3) float32 in [0, 255] -> the same.

    factors: (B, 3) of brightness, contrast, saturation >= 0: f * x + (1 - f) * reference, the reference black, the
    mean of the gray image, the gray image; 1 changes nothing. hues: (B,) turns of the color circle, in [-0.5, 0.5],
    or None. orders: (B, 4) int32, a permutation of brightness 0, contrast 1, saturation 2, hue 3.
    Values are clipped to [0, 255] after each, as torchvision does; it rounds them too where they are uint8.
    """
    x = ops.transpose(images, (3, 0, 1, 2))  # whole planes: faster than threes
    operation = ops.one_hot(orders, 4, dtype="float32")  # (B, 4 slots, 4 operations)
    by_slot = ops.sum(operation[..., :3] * factors[:, None], axis=-1) + operation[..., _HUE]
    turn = ops.argmax(orders, axis=1)  # the slot of hue
    slots = range(4)
    if hues is None:
        for slot in slots:
            x = _blend(x, by_slot[:, slot], operation[:, slot])
        return ops.transpose(x, (1, 2, 3, 0))
    # hue is dear and once for all images: each has the blends that come before it, hue, and those that come after
    for slot in slots[:3]:
        x = _blend(x, ops.where(turn > slot, by_slot[:, slot], 1.0), operation[:, slot])
    x = _turned(x, hues)
    for slot in slots[1:]:
        x = _blend(x, ops.where(turn < slot, by_slot[:, slot], 1.0), operation[:, slot])
    return ops.transpose(x, (1, 2, 3, 0))


def _blend(x, factor, operation):
    """Planes x (3, B, H, W); factor (B,), 1 where this is not the image's turn; operation (B, 4) one-hot."""
    light = _light(x)
    mean = ops.mean(light, axis=(1, 2))
    flat = (1 - factor) * operation[:, _CONTRAST] * mean
    share = (1 - factor) * operation[:, _SATURATION]
    reference = share[:, None, None] * light + flat[:, None, None]
    return ops.clip(factor[:, None, None] * x + reference, 0.0, 255.0)


def _light(x):
    """Planes (3, ...) -> the gray plane."""
    return _GRAY[0] * x[0] + _GRAY[1] * x[1] + _GRAY[2] * x[2]


def _turned(x, hues):
    """Turns the hue of planes (3, B, H, W) as in HSV: the largest and the smallest of the three values stay."""
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
        k = sector + offset  # in [1, 13): sector is in [-1, 5], the turn in [-3, 3]
        k = k - 6 * ops.floor(k / 6)
        planes.append(value - chroma * ops.clip(ops.minimum(k, 4 - k), 0.0, 1.0))
    return ops.stack(planes)


@keras.saving.register_keras_serializable(package="kvision")
class RandomGray(Keyed):
    """Some images without color: images (B, H, W, 3) in [0, 255] -> the same shape, float32; the three channels equal.

    torchvision's RandomGrayscale. probability: of an image to become gray.
    Raises UserError for a probability outside of [0, 1].
    """

    def __init__(self, probability: float = 0.2, *, seed: int | None = None, name: str | None = None):
        super().__init__(seed=seed, name=name)
        self.probability = ranges.number("probability", probability, 0.0, 1.0)

    def transform(self, images, key):
        return either(drawn(key, ops.shape(images)[0], self.probability), gray(images), images)

    def get_config(self):
        return {**super().get_config(), "probability": self.probability}


@keras.saving.register_keras_serializable(package="kvision")
class Solarize(Keyed):
    """Some images with their bright values inverted: images (B, H, W, 3) in [0, 255] -> the same shape, float32.

    torchvision's RandomSolarize, as in BYOL (Grill et al. 2020, arXiv 2006.07733, appendix B).
    probability: of an image to be solarized. threshold: see `solarize`.
    Raises UserError for a probability outside of [0, 1] or a threshold outside of [0, 256].
    """

    def __init__(
        self, probability: float = 0.2, threshold: float = 128.0, *, seed: int | None = None, name: str | None = None
    ):
        super().__init__(seed=seed, name=name)
        self.probability = ranges.number("probability", probability, 0.0, 1.0)
        self.threshold = ranges.number("threshold", threshold, 0.0, 256.0)

    def transform(self, images, key):
        return either(drawn(key, ops.shape(images)[0], self.probability), solarize(images, self.threshold), images)

    def get_config(self):
        return {**super().get_config(), "probability": self.probability, "threshold": self.threshold}


def gray(images):
    """(B, H, W, 3) float32 -> the same shape, its three channels equal: 0.299 red + 0.587 green + 0.114 blue."""
    return ops.matmul(images, np.repeat(np.array(_GRAY, "float32")[:, None], 3, axis=1))


def solarize(images, threshold: float = 128.0):
    """255 - x where a value of (B, H, W, 3) float32 is at least the threshold, else x."""
    return ops.where(images >= threshold, 255.0 - images, images)
