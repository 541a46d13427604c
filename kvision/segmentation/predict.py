"""Predicts the labels of one image."""

from collections.abc import Callable

import keras
import numpy as np

from kvision import checks
from kvision.pixels import pillow
from kvision.raw_pixels import RawPixels

__all__ = ["predict"]


Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]


def predict(
    model: keras.Model, image: np.ndarray, *, longest_side: int | None = None, refine: Refine | None = None
) -> np.ndarray:
    """Predicts the label of each pixel of an image.

    Args:
        model: A model from images `(batch, height, width, 3)` of any size in [0, 255] to logits or probabilities
            `(batch, height, width, classes)`, such as one of `kv.decoders`. At most 255 classes.
        image: `(height, width, 3)` uint8.
        longest_side: The largest length of a side of the image in pixels. A larger image is made smaller for the model,
            and the output is enlarged to the size of the image. An exported model does the same with probabilities. If
            None, the default, the model gets the image unchanged.
        refine: A function that changes the output `(h, w, classes)` of the model by the image `(h, w, 3)` that the
            model got, such as a dense CRF. If None, the default, the output is not changed.

    Returns:
        `(height, width)` uint8 labels: the class with the largest output.

    Raises:
        UserError: If the shape of the image is wrong, if its pixels are scaled, or if the model has more than 255
            classes.

    Example:
        >>> network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, padding="same")])
        >>> labels = kv.segmentation.predict(network, np.full((37, 51, 3), 90, "uint8"))
        >>> labels.shape, labels.dtype
        ((37, 51), dtype('uint8'))
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise checks.UserError("image", expected="the shape (height, width, 3)", received=image.shape)
    RawPixels("image")(image[None])
    small = pillow.fit(image, longest_side)
    scores = keras.ops.convert_to_numpy(model.predict_on_batch(small[None].astype("float32")))[0]
    scores = scores if refine is None else refine(scores, small)
    return pillow.largest(scores, image.shape[:2])
