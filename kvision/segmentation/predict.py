"""One image of any size -> its labels."""

import keras
import numpy as np

from kvision import checks
from kvision.pixels import pillow
from kvision.raw_pixels import RawPixels

__all__ = ["predict"]


def predict(model: keras.Model, image: np.ndarray, *, longest_side: int | None = None) -> np.ndarray:
    """image (H, W, 3) uint8 -> labels (H, W) uint8, 0 ... K - 1: the largest score at the image's own size.

    model: of `kv.decoders`, or any with images (B, H, W, 3) of any size in and scores (B, H, W, K) out. longest_side:
    larger images are made smaller for the network, as in its training; scores, not labels, are enlarged back: give
    probabilities, as an export does, to have what it says. UserError for another shape, and for K above 255.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise checks.error("image", expected="(H, W, 3)", received=image.shape)
    RawPixels("image")(image[None])
    small = pillow.fit(image, longest_side)
    scores = keras.ops.convert_to_numpy(model.predict_on_batch(small[None].astype("float32")))[0]
    return pillow.largest(scores, image.shape[:2])
