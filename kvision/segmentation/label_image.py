"""One image of any size -> its labels."""

import keras
import numpy as np

from kvision import checks
from kvision.pixels import pillow

__all__ = ["label_image"]


def label_image(model: keras.Model, image: np.ndarray, *, longest_side: int | None = None) -> np.ndarray:
    """image (H, W, 3) uint8 -> labels (H, W) uint8, 0 ... K - 1: the largest logit, computed at the image's own size.

    model: of `kv.decoders`, or any with images (B, H, W, 3) of any size in and logits (B, H, W, K) out. longest_side:
    larger images are made smaller for the network, as in its training; logits, not labels, are enlarged back.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise checks.error("image", expected="(H, W, 3)", received=image.shape)
    small = pillow.fit(image, longest_side)
    return largest(model.predict_on_batch(small[None].astype("float32")), image.shape[:2])


def largest(logits, size: tuple[int, int]) -> np.ndarray:
    """(1, h, w, K) -> (H, W) uint8: of logits enlarged to `size` the largest."""
    logits = keras.ops.convert_to_tensor(logits)
    if tuple(logits.shape[1:3]) != tuple(size):
        logits = keras.ops.image.resize(logits, size, "bilinear", data_format="channels_last")
    return keras.ops.convert_to_numpy(keras.ops.argmax(logits[0], axis=-1)).astype("uint8")
