"""A classifier applied to each spot of an image: slow, and right by construction."""

import keras
import numpy as np

from kvision import checks
from kvision.segmentation.windows import Windows

__all__ = ["sliding_window"]


def sliding_window(
    model: keras.Model, image: np.ndarray, *, stride: int | tuple[int, int], batch_size: int = 64
) -> Windows:
    """Classifies every window of an image, cut out by itself.

    model: (B, h, w, C) of a fixed size -> (B, K). image: (H, W, C), at least a window. stride: pixels from a window to
    the next, or (down, right); where the last does not end with the image, one more that does follows, so that no
    margin is left out. batch_size: windows in a call; all calls have one shape.
    Returns `Windows`; its `stitch()` gives scores for each pixel, (H, W, K).
    Raises UserError for a model of any size, an image smaller than a window or of other channels, and a stride or batch
    size below 1.
    """
    if None in model.input_shape[1:]:
        raise checks.error("model", expected="an image (B, h, w, C) of a fixed size", received=model.input_shape)
    if batch_size < 1:
        raise checks.error("batch_size", expected="a count of at least 1", received=batch_size)
    window, channels = model.input_shape[1:3], model.input_shape[3]
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != channels or any(a < b for a, b in zip(image.shape, window, strict=False)):
        raise checks.error(
            "image", expected=f"(H, W, {channels}), at least {window[0]} x {window[1]}", received=image.shape
        )
    steps = tuple(stride) if isinstance(stride, tuple | list) else (stride, stride)
    if len(steps) != 2 or any(not isinstance(step, int | np.integer) or step < 1 for step in steps):
        raise checks.error("stride", expected="pixels, at least 1, or a pair of them", received=stride)
    tops, lefts = (_starts(side, w, s) for side, w, s in zip(image.shape, window, steps, strict=False))
    views = np.lib.stride_tricks.sliding_window_view(image, window, axis=(0, 1))  # (., ., C, h, w), nothing copied
    corners = np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)
    scores = []
    for first in range(0, len(corners), batch_size):
        chosen = corners[first : first + batch_size]
        crops = np.moveaxis(views[chosen[:, 0], chosen[:, 1]], 1, -1)
        rest = min(batch_size, len(corners)) - len(crops)
        full = np.concatenate([crops, np.repeat(crops[:1], rest, axis=0)]) if rest else crops
        scores.append(np.asarray(model.predict_on_batch(full))[: len(crops)])
    stacked = np.concatenate(scores).reshape(len(tops), len(lefts), -1)
    return Windows(stacked, tops, lefts, window, image.shape[:2])


def _starts(side: int, window: int, stride: int) -> np.ndarray:
    starts = np.arange(0, side - window + 1, stride)
    return starts if starts[-1] == side - window else np.append(starts, side - window)
