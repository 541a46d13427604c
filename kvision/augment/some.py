"""Some images of a batch changed, the others as they were."""

import keras
from keras import ops

from kvision.augment.keys import Key

__all__ = ["drawn", "either"]


def drawn(key, batch, probability: float):
    """key (2,) -> (batch,) bool: whether an image is among those that change."""
    return keras.random.uniform((batch,), seed=Key(key)) < probability


def either(which, changed, images):
    """which (B,) bool; changed and images (B, H, W, 3) float32, finite -> each image exactly from one of the two."""
    share = ops.cast(which, "float32")[:, None, None, None]
    return share * changed + (1 - share) * images  # half the time of `where`, which spreads `which` over all pixels
