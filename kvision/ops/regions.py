"""Cuts boxes out of images or feature maps and resizes them to one size."""

import numpy as np
from keras import ops

__all__ = ["enlarge", "regions"]


def regions(maps, boxes, size: int, *, stride: int = 1, samples: int = 1, outside: tuple[float, ...] | None = None):
    """Resizes the content of each box to a square, by bilinear interpolation.

    With a feature map and `samples=2` this is RoI-align. With an image it is the warp of R-CNN.

    Args:
        maps: `(batch, height, width, channels)`, float.
        boxes: Boxes `(batch, n, 4)`, or rotated boxes `(batch, n, 5)`, float32, in pixels of the image. Places are
            computed in float32 also if the maps are float16, which has no fractions of large numbers.
        size: Height and width of the result.
        stride: Distance of two pixels of `maps`, in pixels of the image.
        samples: Each pixel of the result is the mean of samples x samples points of its part of the box.
        outside: Values of the channels outside of the maps. If None, the values at the border continue.

    Returns:
        `(batch, n, size, size, channels)`, in the type of the maps.

    References:
        He et al. 2017, arXiv 1703.06870, section 3 (RoI-align).
    """
    batch, height, width = (ops.shape(maps)[axis] for axis in range(3))
    y, x = (points / stride - 0.5 for points in _points(boxes, size * samples))  # places in the map, half-pixel centers
    inside = ops.logical_and(_within(y, height), _within(x, width))
    (top, bottom, down), (left, right, across) = (
        (low, high, ops.cast(share, maps.dtype)) for low, high, share in (_neighbors(y, height), _neighbors(x, width))
    )
    flat = ops.reshape(maps, (-1, maps.shape[-1]))
    first = ops.reshape(ops.arange(batch, dtype="int32") * height * width, (-1, 1, 1, 1))

    def at(row, column):
        return ops.take(flat, first + row * width + column, axis=0)

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    found = upper * (1 - down) + lower * down
    if outside is not None:
        found = ops.where(inside[..., None], found, ops.convert_to_tensor(outside, found.dtype))
    if samples == 1:
        return found
    # A mean over two axes of seven would not run in TFLite.
    points, channels = size * samples, maps.shape[-1]
    found = ops.reshape(found, (-1, points, points, channels))
    means = ops.average_pool(found, samples, strides=samples, data_format="channels_last")  # JAX needs the strides
    return ops.reshape(means, (batch, ops.shape(boxes)[1], size, size, channels))


def enlarge(boxes, factor: float):
    """Enlarges boxes `(..., 4)` or rotated boxes `(..., 5)` around their centers by a factor."""
    if boxes.shape[-1] == 5:
        return ops.concatenate([boxes[..., :2], boxes[..., 2:4] * factor, boxes[..., 4:]], -1)
    center, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2 * factor
    return ops.concatenate([center - half, center + half], -1)


def _points(boxes, count: int):
    """Returns y and x of count x count points in each box, `(batch, n, count, count)` each."""
    share = ops.convert_to_tensor((np.arange(count) + 0.5) / count - 0.5, boxes.dtype)
    if boxes.shape[-1] == 4:
        center, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
        down, across = (sides[..., i, None] * share for i in range(2))
        y, x = center[..., :1] + down, center[..., 1:2] + across
        blank = ops.zeros_like(y[..., :, None] * x[..., None, :])
        return y[..., :, None] + blank, x[..., None, :] + blank
    down, across = boxes[..., 2, None] * share, boxes[..., 3, None] * share
    down, across = down[..., :, None], across[..., None, :]
    cos, sin = ops.cos(boxes[..., 4])[..., None, None], ops.sin(boxes[..., 4])[..., None, None]
    y = boxes[..., 0, None, None] + across * sin + down * cos
    return y, boxes[..., 1, None, None] + across * cos - down * sin


def _within(place, length):
    return ops.logical_and(place >= -0.5, place <= ops.cast(length, place.dtype) - 0.5)


def _neighbors(place, length):
    """Returns the two nearest rows or columns, and the weight of the second one with a last axis of 1."""
    last = ops.cast(length - 1, place.dtype)
    place = ops.clip(place, 0.0, last)
    low = ops.floor(place)
    high = ops.minimum(low + 1, last)
    return ops.cast(low, "int32"), ops.cast(high, "int32"), (place - low)[..., None]
