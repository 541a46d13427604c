"""Applies a classifier to every window of an image. This is slow but exact."""

import keras
import numpy as np

from kvision import checks
from kvision.pixels.tiles import starts
from kvision.segmentation.windows import Windows

__all__ = ["sliding_window"]


def sliding_window(
    model: keras.Model, image: np.ndarray, *, stride: int | tuple[int, int], batch_size: int = 64
) -> Windows:
    """Cuts out every window of an image and classifies each one separately.

    Args:
        model: A classifier from images `(batch, h, w, channels)` of a fixed size, the window, to `(batch, classes)`.
        image: `(height, width, channels)`, at least as large as a window.
        stride: Distance between neighboring windows in pixels, or a pair `(down, across)`. If the last window does not
            end at the border of the image, one more window is added at the border, so that every pixel is covered.
        batch_size: Number of windows in a call of the model.

    Returns:
        The windows with their scores. Their method `stitch()` computes scores for each pixel.

    Raises:
        UserError: If the model takes images of any size, if the image is smaller than a window or has a wrong number of
            channels, or if the stride or the batch size is below 1.

    Example:
        >>> image = keras.Input((16, 16, 3))
        >>> classifier = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(image)))
        >>> windows = kv.segmentation.sliding_window(classifier, np.zeros((40, 61, 3)), stride=8)
        >>> windows.scores.shape, windows.stitch().shape
        ((4, 7, 5), (40, 61, 5))
    """
    if None in model.input_shape[1:]:
        expected = "a model for images (batch, h, w, channels) of a fixed size"
        raise checks.UserError("model", expected=expected, received=model.input_shape)
    checks.positive({"batch_size": batch_size})
    window, channels = model.input_shape[1:3], model.input_shape[3]
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != channels or any(a < b for a, b in zip(image.shape, window, strict=False)):
        expected = f"the shape (height, width, {channels}), at least {window[0]} x {window[1]}"
        raise checks.UserError("image", expected=expected, received=image.shape)
    steps = tuple(stride) if isinstance(stride, tuple | list) else (stride, stride)
    if len(steps) != 2 or any(not isinstance(step, int | np.integer) or step < 1 for step in steps):
        expected = "a number of pixels of at least 1, or a pair (down, across)"
        raise checks.UserError("stride", expected=expected, received=stride)
    tops, lefts = (starts(side, w, s) for side, w, s in zip(image.shape, window, steps, strict=False))
    views = np.lib.stride_tricks.sliding_window_view(image, window, axis=(0, 1))  # (., ., C, h, w), without a copy
    corners = np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)
    scores = []
    for first in range(0, len(corners), batch_size):
        chosen = corners[first : first + batch_size]
        crops = np.moveaxis(views[chosen[:, 0], chosen[:, 1]], 1, -1)
        # All calls have the same shape, because a new shape would compile the model again.
        rest = min(batch_size, len(corners)) - len(crops)
        full = np.concatenate([crops, np.repeat(crops[:1], rest, axis=0)]) if rest else crops
        scores.append(np.asarray(model.predict_on_batch(full))[: len(crops)])
    stacked = np.concatenate(scores).reshape(len(tops), len(lefts), -1)
    return Windows(stacked, tops, lefts, window, image.shape[:2])
