"""Selective search: proposals from segments that are merged step by step (extra `detection`)."""

import numpy as np

from kvision import checks
from kvision.pixels.packages import require_package

__all__ = ["MODES", "require_opencv", "selective_search"]

MODES = ("fast", "quality")


def selective_search(
    image: np.ndarray,
    *,
    mode: str = "fast",
    width: int | None = 500,
    smallest: int = 20,
    count: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """Proposes boxes around segments of an image.

    OpenCV finds the same boxes on every run, but returns them in a random order. Here the order depends only on `seed`.
    As in the paper, boxes of later merges, which are larger, tend to come first.

    Args:
        image: `(height, width, 3)` uint8.
        mode: `"fast"` as in R-CNN, or `"quality"`, which gives more boxes and takes more time.
        width: The image is resized to this width for the search, because the sizes of segments depend on the image
            size. The default is R-CNN's. If None, the image is not resized.
        smallest: Smallest side of a box, in pixels of the resized image. Smaller boxes are left out. The default is
            R-CNN's.
        count: The largest number of boxes that are returned. The default is R-CNN's.
        seed: Seed of the order.

    Returns:
        Boxes `(n, 4)`, float32, in pixels of `image`, without duplicates.

    Raises:
        UserError: If the extra `detection` is missing, or an argument is not valid.

    References:
        Uijlings et al. 2013, doi 10.1007/s11263-013-0620-5; Girshick et al. 2014, arXiv 1311.2524, section 2.1.
    """
    checks.one_of("mode", mode, MODES)
    checks.positive({"smallest": smallest, "count": count, "width": width})
    require_opencv("image")
    import cv2

    scale = 1.0 if width is None else width / image.shape[1]
    size = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    shown = image if size == image.shape[:2] else cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(shown[..., ::-1]))
    (search.switchToSelectiveSearchFast if mode == "fast" else search.switchToSelectiveSearchQuality)()
    left, top, wide, high = np.unique(search.process(), axis=0).T
    found = np.stack([top, left, top + high, left + wide], 1)[(wide >= smallest) & (high >= smallest)]
    area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    rank = np.argsort(np.argsort(-area, kind="stable"), kind="stable") + 1
    order = np.argsort(rank * np.random.default_rng(seed).uniform(size=len(found)), kind="stable")[:count]
    factors = np.array(image.shape[:2] * 2) / np.array(size * 2)
    return (found[order] * factors).astype("float32")


def require_opencv(argument: str) -> None:
    """Checks that OpenCV's segmentation is installed.

    Args:
        argument: Name of the argument that needs it, for the error.

    Raises:
        UserError: If it is not installed.
    """
    require_package("cv2", extra="detection", argument=argument)
