"""Random Gaussian blur."""

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
    """Blurs some of the images, each one with a random width.

    Borders are reflected, as in torchvision. The code of SimCLR pads with black instead.

    Args:
        probability: Probability that an image is blurred.
        sigma: Range of the standard deviation in pixels. Each image draws its own value from this range.
        kernel_share: Size of the kernel as a share of the shorter side of the image. The default gives 23 pixels for
            images of 224 pixels, and 3 pixels for images of 32 pixels.
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> layer = kv.augment.GaussianBlur(probability=1.0)
        >>> tuple(layer(np.zeros((2, 32, 32, 3), "uint8")).shape)
        (2, 32, 32, 3)

    References:
        Chen et al. 2020, arXiv 2002.05709, appendix A.
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
        """Draws which images are blurred, and the standard deviation of the blur of each image.

        Args:
            key: Two integers.
            batch: Number of images.

        Returns:
            A pair: which images are blurred, `(batch,)` bool, and the standard deviations in pixels, `(batch,)`
            float32.
        """
        drawn = keras.random.uniform((batch, 2), seed=Key(key))
        low, high = self.sigma
        return drawn[:, 0] < self.probability, low + (high - low) * drawn[:, 1]

    def transform(self, images, key):
        """Blurs some of the images."""
        blurred, sigmas = self.draw(key, ops.shape(images)[0])
        return either(blurred, blur(images, sigmas, self.kernel_share), images)


def blur(images, sigmas, kernel_share: float = 0.1):
    """Blurs each image with its own standard deviation.

    The kernel is a normalized Gaussian on a square of 2 * radius + 1 pixels, with
    `radius = floor(floor(kernel_share * side) / 2)` for the shorter side of the image. With the default, the kernel
    size is a tenth of the side, changed to an odd number, as in SimCLR's code. Borders are reflected without repeating
    the outermost pixel.

    Args:
        images: `(batch, height, width, 3)` float32.
        sigmas: Standard deviations `(batch,)` in pixels, above 0.
        kernel_share: Size of the kernel as a share of the shorter side.

    Returns:
        Images of the same shape.
    """
    height, width = ops.shape(images)[1:3]
    side = ops.cast(ops.minimum(height, width), "float32")
    radius = ops.floor(ops.floor(kernel_share * side + 1e-4) / 2)  # 0.1 * 70 is less than 7 in float32.
    return separable(images, _band(sigmas, height, radius), _band(sigmas, width, radius))


def _band(sigmas, count, radius):
    """Returns the weight of each old pixel in each new pixel, `(batch, count, count)`."""
    place = ops.arange(count, dtype="float32")
    new, old, last = place[:, None], place[None], ops.cast(count, "float32") - 1
    sigmas = sigmas[:, None, None]

    def weight(offset):
        return ops.where(ops.abs(offset) <= radius, ops.exp(-0.5 * ops.square(offset / sigmas)), 0.0)

    # Reflection maps pixel -x to pixel x, and pixel last + x to pixel last - x. The outermost pixels are not repeated,
    # so they count once.
    band = (
        weight(old - new)
        + ops.where(old > 0, weight(-old - new), 0.0)
        + ops.where(old < last, weight(2 * last - old - new), 0.0)
    )
    return band / ops.sum(band, axis=-1, keepdims=True)
