"""Projective transforms of images, masks, boxes and points, as 3 x 3 matrices. All functions work on NumPy arrays."""

import numpy as np
from PIL import Image

from kvision.objects import Objects

__all__ = ["move_objects", "move_points", "projective", "warp"]


def projective(
    center: tuple[float, float],
    size: tuple[int, int],
    *,
    zoom: tuple[float, float] = (1.0, 1.0),
    rotate: float = 0.0,
    shear: float = 0.0,
    perspective: tuple[float, float] = (0.0, 0.0),
    flip: bool = False,
) -> np.ndarray:
    """Computes the matrix of a transform that moves a point of an image to the middle of the result.

    The steps are: shear, rotate, zoom, flip, perspective. Each step keeps the point in the middle.

    Args:
        center: y and x of the point, in pixels of the image.
        size: Height and width of the result in pixels.
        zoom: Factors by which objects become higher and wider.
        rotate: Angle in radians. It turns the x axis towards the y axis, which is clockwise on the screen.
        shear: Shift of x, in pixels for each pixel of y.
        perspective: Tilt around the x axis and around the y axis. Near one border of the result, objects become smaller
            by the factor 1 / (1 + tilt). Near the opposite border, they become larger by the factor 1 / (1 - tilt). The
            sum of both absolute values must be below 1.
        flip: Whether to swap left and right.

    Returns:
        `(3, 3)` float64, which maps homogeneous points (x, y, 1) of the image to those of the result, as in
        `kv.detection.boxes.transform`.

    Example:
        >>> matrix = kv.augment.projective((10, 20), (100, 100), zoom=(2, 2))
        >>> kv.augment.move_points(np.array([[10.0, 20.0], [11.0, 20.0]]), matrix).tolist()
        [[50.0, 50.0], [52.0, 50.0]]
    """
    (y, x), (height, width), (down, across) = center, size, perspective
    cos, sin = np.cos(rotate), np.sin(rotate)
    start = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    sheared = np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    zoomed = np.diag([-zoom[1] if flip else zoom[1], zoom[0], 1])
    tilted = np.array([[1, 0, 0], [0, 1, 0], [2 * across / width, 2 * down / height, 1]])
    end = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1]])
    return end @ tilted @ zoomed @ turned @ sheared @ start


def move_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Moves points with a matrix of `projective`.

    Args:
        points: `(..., 2)` of y and x.
        matrix: `(3, 3)`.

    Returns:
        `(..., 2)` of y and x, float64. A point that the perspective moves beyond the horizon becomes NaN.
    """
    moved = points[..., ::-1] @ matrix[:, :2].T + matrix[:, 2]
    depth = moved[..., 2:]
    return moved[..., 1::-1] / np.where(depth > 1e-6, depth, np.nan)


def move_objects(objects: Objects, matrix: np.ndarray, size: tuple[int, int], *, visible: float = 0.3) -> Objects:
    """Moves objects together with their image, and leaves out objects that are no longer visible.

    An axis-aligned box becomes the smallest box around its moved corners, and is clipped to the result. A rotated box
    becomes a rotated box again, and is not clipped. It stays if its center is inside the result. Objects with a side
    below one pixel are left out.

    Args:
        objects: The objects of an image.
        matrix: `(3, 3)`, the result of `projective`.
        size: Height and width of the result in pixels.
        visible: Smallest share, in [0, 1], of the area of a moved axis-aligned box that must be inside the result.

    Returns:
        The objects of the result, in the same order.
    """
    if objects.boxes.shape[1] == 5:
        boxes = _fitted(move_points(_corners(objects.boxes), matrix))
        sides, keep = boxes[:, 2:4], ((boxes[:, :2] >= 0) & (boxes[:, :2] < size)).all(1)
    else:
        moved = move_points(objects.boxes[:, [[0, 1], [0, 3], [2, 3], [2, 1]]], matrix)
        whole = np.concatenate([moved.min(1), moved.max(1)], 1)
        boxes = np.clip(whole, 0, [*size, *size])
        sides = boxes[:, 2:] - boxes[:, :2]
        keep = sides.prod(1) >= visible * (whole[:, 2:] - whole[:, :2]).prod(1)
    keep &= (sides > 1 - 1e-4).all(1)  # allows for rounding errors, so that a box of one pixel stays
    kept = objects._replace(boxes=boxes.astype("float32"))
    return Objects(*(None if part is None else part[keep] for part in kept))


# The next two functions are `corners`, `from_corners` and `canonical` of kvision.ops.rotated_boxes in NumPy. For a few
# boxes, the tensor functions take 10 ms, which is longer than decoding an image.


def _corners(boxes: np.ndarray) -> np.ndarray:
    """Returns the corners `(n, 4, 2)`, as y and x, of rotated boxes `(n, 5)`."""
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    down = np.stack([cos, -sin], 1) * boxes[:, 2:3] / 2
    along = np.stack([sin, cos], 1) * boxes[:, 3:4] / 2
    return boxes[:, None, :2] + np.stack([-down - along, along - down, down + along, down - along], 1)


def _fitted(points: np.ndarray) -> np.ndarray:
    """Returns canonical rotated boxes `(n, 5)` for corners `(n, 4, 2)`."""
    sides = np.roll(points, -1, 1) - points
    lengths = np.hypot(*np.moveaxis(sides, -1, 0))
    width, height = (lengths[:, 0] + lengths[:, 2]) / 2, (lengths[:, 1] + lengths[:, 3]) / 2
    along = sides[:, 0] - sides[:, 2]
    angle = np.arctan2(along[:, 0], along[:, 1]) + np.where(height > width, np.pi / 2, 0)
    angle -= np.pi * np.floor(angle / np.pi + 0.5)
    center = points.mean(1)
    return np.stack([*center.T, np.minimum(height, width), np.maximum(height, width), angle], 1)


def warp(
    picture: Image.Image, matrix: np.ndarray, size: tuple[int, int], how: Image.Resampling, outside: int = 0
) -> np.ndarray:
    """Resamples a picture once with a projective transform.

    Args:
        picture: An image in RGB, or a mask.
        matrix: `(3, 3)`, the result of `projective`.
        size: Height and width of the result in pixels.
        how: `BILINEAR` for images, `NEAREST` for masks. If a bilinear transform makes the image smaller by a factor of
            2 or more, blocks of pixels are averaged first.
        outside: The value of pixels outside the picture.

    Returns:
        `(height, width, 3)` or `(height, width)` uint8.
    """
    inverse = np.linalg.inv(matrix)
    if how is Image.Resampling.BILINEAR:
        first, *others = move_points(np.array([[0, 0], [0, 1], [1, 0]]) + np.array(size) / 2, inverse)
        factor = int(min(np.hypot(*(other - first)) for other in others))
        if factor > 1:
            picture, inverse = picture.reduce(factor), np.diag([1 / factor, 1 / factor, 1]) @ inverse
    data = (inverse / inverse[2, 2]).ravel()[:8].tolist()
    fill = (outside,) * len(picture.getbands())
    height, width = size
    return np.array(picture.transform((width, height), Image.Transform.PERSPECTIVE, data, how, fillcolor=fill))
