"""Images that are blurred, each by a width of its own."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from kvision.augment import ranges
from kvision.augment.keys import Key, Keyed
from kvision.augment.separable import separable
from kvision.augment.some import either

__all__ = ["GaussianBlur", "blur"]


@keras.saving.register_keras_serializable(package="kvision")
class GaussianBlur(Keyed):
    """Blurs some images: images (B, H, W, 3) in [0, 255] -> the same shape, float32 in [0, 255].

    As in SimCLR (Chen et al. 2020, arXiv 2002.05709, appendix A), with torchvision's reflected borders; SimCLR's code
    pads with black. probability: of an image to be blurred. sigma: range in pixels, uniform, another for each image.
    kernel_share: see `blur`; 0.1 gives 23 pixels at 224, 3 at 32.
    Raises UserError for an argument out of its range.
    """

    def __init__(
        self,
        probability: float = 0.5,
        sigma: Sequence[float] = (0.1, 2.0),
        kernel_share: float = 0.1,
        *,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        self.probability = ranges.number("probability", probability, 0.0, 1.0)
        self.sigma = ranges.interval("sigma", sigma, 0.0, math.inf, open_low=True)
        self.kernel_share = ranges.number("kernel_share", kernel_share, 0.0, 1.0, open_low=True)

    def draw(self, key, batch):
        """key (2,) -> blurred (batch,) bool, sigmas (batch,) float32."""
        drawn = keras.random.uniform((batch, 2), seed=Key(key))
        low, high = self.sigma
        return drawn[:, 0] < self.probability, low + (high - low) * drawn[:, 1]

    def transform(self, images, key):
        blurred, sigmas = self.draw(key, ops.shape(images)[0])
        return either(blurred, blur(images, sigmas, self.kernel_share), images)

    def get_config(self):
        return {
            **super().get_config(),
            "probability": self.probability,
            "sigma": self.sigma,
            "kernel_share": self.kernel_share,
        }


def blur(images, sigmas, kernel_share: float = 0.1):
    """Blurs all: images (B, H, W, 3) float32, sigmas (B,) pixels > 0 -> the same shape.

    A Gaussian, cut off to a square of 2 * radius + 1 pixels, radius = floor(floor(kernel_share * side) / 2), side the
    shorter one, and normalized: a tenth of the side made odd, as in SimCLR's code. Borders are reflected without
    repeating the outermost pixel.
    """
    height, width = ops.shape(images)[1:3]
    side = ops.cast(ops.minimum(height, width), "float32")
    radius = ops.floor(ops.floor(kernel_share * side + 1e-4) / 2)  # 0.1 * 70 is less than 7 in float32
    return separable(images, _band(sigmas, height, radius), _band(sigmas, width, radius))


def _band(sigmas, count, radius):
    """(B, count, count): weight of each old pixel in each new one."""
    place = ops.arange(count, dtype="float32")
    new, old, last = place[:, None], place[None], ops.cast(count, "float32") - 1
    sigmas = sigmas[:, None, None]

    def weight(offset):
        return ops.where(ops.abs(offset) <= radius, ops.exp(-0.5 * ops.square(offset / sigmas)), 0.0)

    # pixel -x is x and last + x is last - x; the outermost are their own reflections and count once
    band = (
        weight(old - new)
        + ops.where(old > 0, weight(-old - new), 0.0)
        + ops.where(old < last, weight(2 * last - old - new), 0.0)
    )
    return band / ops.sum(band, axis=-1, keepdims=True)
