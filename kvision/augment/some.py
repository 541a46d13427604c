"""Changes some of the images of a batch."""

import keras
from keras import ops

from kvision.augment.keys import Key

__all__ = ["drawn", "either"]


def drawn(key, batch, probability: float):
    """Draws whether each image changes, `(batch,)` bool."""
    return keras.random.uniform((batch,), seed=Key(key)) < probability


def either(which, changed, images):
    """Returns each image from `changed` where `which` is True, else from `images`. All values must be finite."""
    share = ops.cast(which, "float32")[:, None, None, None]
    return share * changed + (1 - share) * images  # Twice as fast as `where`, which repeats `which` for all pixels.
