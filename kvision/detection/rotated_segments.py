"""Rotated proposals: the smallest rotated box around each segment (extra `detection`)."""

from collections.abc import Sequence

import numpy as np

from kvision import checks
from kvision.detection.selective_search import require_opencv
from kvision.ops import rotated_boxes

__all__ = ["rotated_segments"]


def rotated_segments(
    image: np.ndarray, *, scales: Sequence[float] = (50, 100, 200, 400), smallest: int = 8, count: int = 2000
) -> np.ndarray:
    """Proposes rotated boxes around the segments of an image.

    The image is segmented at several scales. The result has the smallest rotated box around each segment, and around
    each pair of neighboring segments.

    Args:
        image: `(height, width, 3)` uint8.
        scales: Scales of the segmentation. Larger scales give larger segments.
        smallest: Smallest side of a box in pixels. Smaller boxes are left out.
        count: The largest number of boxes that are returned. The largest boxes come first.

    Returns:
        Rotated boxes `(n, 5)`, float32, with width >= height, without duplicates.

    Raises:
        UserError: If the extra `detection` is missing, or an argument is not valid.

    References:
        Felzenszwalb and Huttenlocher 2004, doi 10.1023/B:VISI.0000022288.19776.77, for the segments.
    """
    checks.positive({"smallest": smallest, "count": count, "scales": min(scales)})
    require_opencv("image")
    import cv2

    found = []
    for scale in scales:
        segment = cv2.ximgproc.segmentation.createGraphSegmentation(
            sigma=0.8, k=float(scale), min_size=int(smallest**2)
        )
        labels = segment.processImage(np.ascontiguousarray(image[..., ::-1]))
        points = [np.argwhere(labels == label)[:, ::-1].astype("float32") for label in range(labels.max() + 1)]
        hulls = [cv2.convexHull(one) for one in points]
        groups = [*((i,) for i in range(len(hulls))), *_neighbors(labels)]
        found += [cv2.minAreaRect(np.concatenate([hulls[i] for i in group])) for group in groups]
    rows = [[y, x, high, wide, np.deg2rad(angle)] for (x, y), (wide, high), angle in found]
    boxes = np.asarray(rotated_boxes.canonical(np.array(rows, "float32").reshape(-1, 5)))
    boxes = np.unique(boxes[boxes[:, 2] >= smallest], axis=0)
    return boxes[np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")[:count]]


def _neighbors(labels: np.ndarray) -> list[tuple[int, int]]:
    """Returns the pairs of labels that touch."""
    across = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], 1)
    down = np.stack([labels[:-1].ravel(), labels[1:].ravel()], 1)
    pairs = np.sort(np.concatenate([across, down]), axis=1)
    return [tuple(pair) for pair in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist()]
