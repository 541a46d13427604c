"""Proposals on a grid: boxes of several sizes and shapes in all parts of an image. This needs no further library."""

from collections.abc import Sequence

import numpy as np

from kvision import checks

__all__ = ["grid"]


def grid(
    size: tuple[int, int],
    *,
    scales: Sequence[float] = (32, 64, 128, 256),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    step: float = 0.25,
) -> np.ndarray:
    """Creates boxes of several sizes and shapes that cover an image.

    Args:
        size: Height and width of the image in pixels.
        scales: Square roots of the areas of the boxes, in pixels.
        ratios: Ratios of height to width.
        step: Distance between neighboring boxes as a share of their side, so that small boxes are closer together.

    Returns:
        Boxes `(n, 4)` inside the image, float32, the largest first. Boxes that are larger than the image are left out.

    Raises:
        UserError: If `step`, a scale or a ratio is not positive.

    Example:
        >>> kv.detection.grid((240, 320), scales=[128], ratios=[1.0], step=0.5)[:2].tolist()
        [[0.0, 0.0, 128.0, 128.0], [0.0, 64.0, 128.0, 192.0]]
    """
    checks.positive({"step": step, "scales": min(scales), "ratios": min(ratios)})
    found = [np.zeros((0, 4), "float32")]
    for scale in sorted(scales, reverse=True):
        for ratio in ratios:
            sides = scale * ratio**0.5, scale / ratio**0.5
            if sides[0] > size[0] or sides[1] > size[1]:
                continue
            counts = [int((whole - side) / (step * side) + 1e-9) + 1 for whole, side in zip(size, sides, strict=True)]
            top, left = np.meshgrid(
                *(np.arange(n) * step * s for n, s in zip(counts, sides, strict=True)), indexing="ij"
            )
            corner = np.stack([top.ravel(), left.ravel()], 1)
            found.append(np.concatenate([corner, corner + sides], 1).astype("float32"))
    return np.concatenate(found)
