"""The warp error: how much colors change along the motion of a video."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kvision.luma_chroma import luma
from kvision.pixels.optical_flow import optical_flow, warped
from kvision.pixels.scene_cuts import SceneCuts

__all__ = ["WarpError", "warp_error"]


@dataclass(frozen=True)
class WarpError:
    """How much the colors of a video change along its motion. Smaller is better.

    Attributes:
        rgb: Mean over pairs of the mean square difference of R, G and B, with values in [0, 1].
        chroma: The same for the colors without their luma. A coloring that keeps the luma can only change this part.
        pairs: Number of pairs of neighboring frames. Pairs over cuts are left out.
        share: Mean share of the pixels that count, in [0, 1]. Occluded pixels do not count.
    """

    rgb: float
    chroma: float
    pairs: int
    share: float


def warp_error(
    colored: Iterable[np.ndarray], reference: Iterable[np.ndarray] | None = None, *, method: str = "dis"
) -> WarpError:
    """Computes the warp error of a colored video. Only two frames are in memory at a time.

    Each frame is compared with the previous frame, moved along the optical flow. The flow is computed from the luma, so
    it does not depend on the colors.

    Args:
        colored: Frames `(height, width, 3)` uint8, in their order.
        reference: Frames whose luma gives the flow, such as the video before it was colored. Defaults to `colored`.
        method: See `kvision.pixels.optical_flow.optical_flow`.

    Returns:
        The errors. With less than two frames of one scene they are nan.

    Raises:
        UserError: If the extra `detection` is missing, or the frames are too small.

    Example:
        >>> frames = [np.full((16, 16, 3), level, "uint8") for level in (100, 100)]
        >>> kv.colorization.warp_error(frames).rgb
        0.0

    References:
        Lai et al. 2018, arXiv 1808.00449 (the warping error).
    """
    rows, last, cuts = [], None, SceneCuts()
    for frame, guide in _pairs(colored, reference):
        gray, cut = luma(guide)[..., 0], cuts(luma(guide)[..., 0])
        if last is not None and not cut:
            flow, mask = optical_flow(gray, last[1], method=method)
            difference = (frame.astype("float32") - warped(last[0], flow)) / 255
            own = difference - luma(difference)  # the difference of the colors without luma
            if mask.any():
                errors = [float(((part**2).mean(axis=2) * mask).sum() / mask.sum()) for part in (difference, own)]
                rows.append((*errors, float(mask.mean())))
        last = (frame, gray)
    means = np.mean(rows, axis=0).tolist() if rows else [float("nan")] * 3
    return WarpError(rgb=means[0], chroma=means[1], pairs=len(rows), share=means[2])


def _pairs(
    colored: Iterable[np.ndarray], reference: Iterable[np.ndarray] | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if reference is None:
        return ((frame, frame) for frame in colored)
    return zip(colored, reference, strict=True)
