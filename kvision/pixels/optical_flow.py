"""Optical flow between two frames with OpenCV (extra `detection`), and the pixels where it can be trusted."""

from typing import NamedTuple

import numpy as np

from kvision import checks
from kvision.pixels.packages import require_package

__all__ = ["METHODS", "Flow", "optical_flow", "warped"]

METHODS = ("dis", "farneback")


class Flow(NamedTuple):
    """Where each pixel of a frame comes from in the previous frame.

    Attributes:
        flow: `(height, width, 2)` float32: dy and dx in pixels. Pixel (y, x) of the frame shows what pixel
            (y + dy, x + dx) of the previous frame shows.
        mask: `(height, width)` float32: 1 where the flow is certain, 0 for pixels that were hidden or outside of the
            previous frame, and at the edges of moving objects.
    """

    flow: np.ndarray
    mask: np.ndarray


def optical_flow(luma: np.ndarray, previous: np.ndarray, *, method: str = "dis") -> Flow:
    """Computes the optical flow from a frame back to the previous frame.

    The flow is computed in both directions. A pixel counts as occluded where the two do not fit together, and as an
    edge of a motion where the flow changes fast.

    Args:
        luma: The frame `(height, width)` in [0, 255], with at least 16 pixels in both directions.
        previous: The previous frame, in the same size.
        method: `"dis"` (dense inverse search, faster and better) or `"farneback"`.

    Returns:
        The flow and its mask.

    Raises:
        UserError: If the extra `detection` is missing, or an argument is not valid.

    References:
        Kroeger et al. 2016, arXiv 1603.03590; Farneback 2003, doi 10.1007/3-540-45103-X_50. The mask and its limits:
        Ruder, Dosovitskiy and Brox 2016, arXiv 1604.08610.
    """
    checks.one_of("method", method, METHODS)
    if luma.shape != previous.shape or luma.ndim != 2 or min(luma.shape) < 16:
        expected = "two frames (height, width) of one size, with at least 16 pixels in both directions"
        raise checks.UserError("luma", expected=expected, received=(luma.shape, previous.shape))
    require_package("cv2", extra="detection", argument="luma")
    here, there = (np.clip(np.rint(image), 0, 255).astype("uint8") for image in (luma, previous))
    backward, forward = _computed(here, there, method), _computed(there, here, method)
    returned = warped(forward, backward)
    missed = ((backward + returned) ** 2).sum(axis=2)
    lengths = (backward**2).sum(axis=2) + (returned**2).sum(axis=2)
    occluded = missed > 0.01 * lengths + 0.5
    slopes = sum((np.gradient(backward[..., i])[j] ** 2 for i in range(2) for j in range(2)), np.zeros(luma.shape))
    edge = slopes > 0.01 * (backward**2).sum(axis=2) + 0.002
    mask = ~occluded & ~edge & _inside(backward)
    return Flow(backward, mask.astype("float32"))


def warped(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Moves the previous frame along a flow, so that it fits the frame.

    Args:
        image: The previous frame `(height, width, channels)`.
        flow: See `Flow`.

    Returns:
        `(height, width, channels)` float32, interpolated bilinearly. Places outside of the image get the nearest pixel.
    """
    height, width = flow.shape[:2]
    y = np.clip(np.arange(height, dtype="float32")[:, None] + flow[..., 0], 0, height - 1)
    x = np.clip(np.arange(width, dtype="float32") + flow[..., 1], 0, width - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (y - top)[..., None], (x - left)[..., None]
    image = np.asarray(image, "float32")
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[below, left] * (1 - across) + image[below, right] * across
    return upper * (1 - down) + lower * down


def _computed(image: np.ndarray, other: np.ndarray, method: str) -> np.ndarray:
    """Returns the flow (dy, dx) from an image to another one."""
    import cv2

    if method == "dis":
        found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(image, other, None)
    else:
        # The parameters of OpenCV's tutorial: pyramid, levels, window, iterations, neighborhood and its sigma.
        found = cv2.calcOpticalFlowFarneback(image, other, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return np.ascontiguousarray(found[..., ::-1])  # OpenCV gives (dx, dy)


def _inside(flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[:2]
    y, x = np.arange(height)[:, None] + flow[..., 0], np.arange(width) + flow[..., 1]
    return (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
