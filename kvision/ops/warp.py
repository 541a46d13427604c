"""Moves images along a flow, on every backend."""

from keras import ops

from kvision.ops.sizes import sizes

__all__ = ["warp"]


def warp(images, flow):
    """Moves images along a flow, bilinearly.

    Args:
        images: `(batch, height, width, channels)`.
        flow: `(batch, height, width, 2)`: dy and dx in pixels. Pixel (y, x) of the result is taken from
            (y + dy, x + dx).

    Returns:
        `(batch, height, width, channels)`, float32. Places outside of an image get the nearest pixel. Gradients flow to
        `images`, and almost everywhere to `flow`.

    Example:
        >>> from kvision.ops.warp import warp
        >>> images = np.arange(4.0).reshape(1, 1, 4, 1)
        >>> flow = np.tile([0.0, 0.5], (1, 1, 4, 1))
        >>> warp(images, flow).numpy()[0, 0, :, 0].tolist()
        [0.5, 1.5, 2.5, 3.0]
    """
    images, flow = ops.cast(images, "float32"), ops.cast(flow, "float32")
    batch, height, width, channels = sizes(images)
    y = ops.cast(ops.arange(height), "float32")[None, :, None] + flow[..., 0]
    x = ops.cast(ops.arange(width), "float32")[None, None, :] + flow[..., 1]
    y, x = ops.clip(y, 0.0, ops.cast(height - 1, "float32")), ops.clip(x, 0.0, ops.cast(width - 1, "float32"))
    top, left = ops.floor(y), ops.floor(x)
    down, across = (y - top)[..., None], (x - left)[..., None]
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    below, right = ops.minimum(top + 1, height - 1), ops.minimum(left + 1, width - 1)
    pixels = ops.reshape(images, (batch, height * width, channels))

    def at(row, column):
        places = ops.reshape(row * width + column, (batch, height * width, 1))
        return ops.reshape(ops.take_along_axis(pixels, places, axis=1), (batch, height, width, channels))

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(below, left) * (1 - across) + at(below, right) * across
    return upper * (1 - down) + lower * down
