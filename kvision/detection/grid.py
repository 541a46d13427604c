"""Proposals on a grid: boxes of several sizes and shapes in all parts of an image. This needs no further library."""

from collections.abc import Sequence

import numpy as np

from kvision import checks
from kvision.data import BoxedImages

__all__ = ["fitted_grid", "grid"]

_STEPS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0)  # distances of boxes, as shares of their sides
_SIZES, _SHAPES = (0.1, 0.3, 0.5, 0.7, 0.9), (0.15, 0.5, 0.85)  # quantiles of the objects
_ANGLES = 6  # of rotated boxes


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


def fitted_grid(images: BoxedImages, count: int) -> np.ndarray:
    """Creates a grid with the sizes and shapes of the objects in some images, and as dense as possible.

    Args:
        images: Training images with objects.
        count: The largest number of boxes.

    Returns:
        Boxes `(n, 4)` or rotated boxes `(n, 5)` for `kv.layers.Grid`: values are shares of the image. Rotated boxes
        have 6 angles.
    """
    size = np.median([np.multiply(one, images.scale(i)) for i, one in enumerate(images.sizes)], axis=0)
    boxes = np.concatenate([one.boxes * images.scale(i) for i, one in enumerate(images.objects) if len(one.boxes)])
    sides = boxes[:, 2:4] if images.rotated else boxes[:, 2:] - boxes[:, :2]
    scales = np.minimum(np.quantile(np.sqrt(sides.prod(1)), _SIZES), min(size)).round(1)
    ratios = np.quantile(sides[:, 0] / sides[:, 1], _SHAPES).round(2)
    options = {"scales": np.unique(scales), "ratios": np.unique(ratios)}
    most = count // _ANGLES if images.rotated else count
    grids = (grid(size, step=step, **options) for step in _STEPS)
    found = next((one for one in grids if len(one) <= most), None)
    if found is None:  # even the coarsest grid has too many boxes
        found = grid(size, step=_STEPS[-1], **options)
        found = found[np.linspace(0, len(found) - 1, max(1, most)).astype(int)]
    if not images.rotated:
        return (found / np.tile(size, 2)).astype("float32")
    center, sides = (found[:, :2] + found[:, 2:]) / 2 / size, (found[:, 2:] - found[:, :2]) / np.sqrt(size.prod())
    turned = [
        np.column_stack([center, sides, np.full(len(found), turn)]) for turn in np.arange(_ANGLES) * np.pi / _ANGLES
    ]
    return np.concatenate(turned).astype("float32")
