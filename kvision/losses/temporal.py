"""The temporal loss of videos: colors that change along the motion."""

from keras import ops

from kvision import checks
from kvision.ops.warp import warp

__all__ = ["temporal_error"]


def temporal_error(chroma, previous, flow, mask):
    """Computes the mean change of the predicted chroma along the optical flow.

    The loss is 0 for colors that move with the objects. It is 0 for gray pictures too, so it has to be added to a loss
    of the colors.

    Args:
        chroma: Prediction for a frame, `(batch, height, width, channels)`, such as scaled U and V.
        previous: Prediction for the previous frame, with the same shape.
        flow: `(batch, height, width, 2)`: dy and dx in pixels to the place in the previous frame, as in
            `kvision.pixels.optical_flow`. It is computed from the luma, before the training step.
        mask: `(batch, height, width)`: 1 where the flow is certain, 0 elsewhere.

    Returns:
        `(batch,)` losses, float32: the mean absolute difference over channels and certain pixels. The loss is 0 if no
        pixel is certain, such as for a pair over a cut.

    Raises:
        UserError: If the shapes do not fit.

    Example:
        >>> chroma, still = np.full((1, 2, 2, 2), 0.5), np.zeros((1, 2, 2, 2))
        >>> float(kv.losses.temporal_error(chroma, np.zeros((1, 2, 2, 2)), still, np.ones((1, 2, 2)))[0])
        0.5

    References:
        Lai et al. 2018, arXiv 1808.00449 (the short-term temporal loss, here with a mask of zeros and ones).
    """
    shapes = [tuple(value.shape) for value in (chroma, previous, flow, mask)]
    rank = [len(shape) for shape in shapes]
    if rank != [4, 4, 4, 3] or shapes[0] != shapes[1] or shapes[2][-1] != 2 or shapes[2][1:3] != shapes[0][1:3]:
        expected = "(B, H, W, C) twice, (B, H, W, 2) and (B, H, W)"
        raise checks.UserError("chroma, previous, flow, mask", expected=expected, received=shapes)
    moved = warp(previous, flow)
    difference = ops.mean(ops.abs(ops.cast(chroma, "float32") - moved), axis=-1)
    mask = ops.cast(mask, "float32")
    return ops.sum(difference * mask, axis=(1, 2)) / ops.maximum(ops.sum(mask, axis=(1, 2)), 1.0)
