"""Rotated boxes: `y, x, height, width, angle`, float32. Center and sides are in pixels, the angle is in radians.

The angle turns the width of the box from the x axis towards the y axis, which is clockwise on the screen. A box stays
the same after half a turn. It also stays the same after a quarter turn, if height and width are swapped.
"""

import itertools
import math

from keras import ops

from kvision.ops import boxes as plain

__all__ = ["around", "canonical", "corners", "decode", "encode", "from_corners", "iou"]


def canonical(boxes):
    """Rewrites boxes `(..., 5)` so that width >= height, with an angle in [-pi/2, pi/2)."""
    boxes = ops.convert_to_tensor(boxes, "float32")
    y, x, height, width, angle = (boxes[..., i] for i in range(5))
    upright = height > width
    sides = ops.minimum(height, width), ops.maximum(height, width)
    return ops.stack([y, x, *sides, _half_turn(ops.where(upright, angle + math.pi / 2, angle))], -1)


def _half_turn(angle):
    """Maps angles to [-pi/2, pi/2), modulo pi."""
    return angle - math.pi * ops.floor(angle / math.pi + 0.5)


def corners(boxes):
    """Computes the corners of boxes.

    Args:
        boxes: `(..., 5)`.

    Returns:
        `(..., 4, 2)`, as y and x, in order around the box. The first corner is the corner that is top left at angle 0.
    """
    boxes = ops.convert_to_tensor(boxes, "float32")
    center, angle = boxes[..., None, :2], boxes[..., 4:]
    across = boxes[..., 3:4] * ops.convert_to_tensor([-0.5, 0.5, 0.5, -0.5])
    down = boxes[..., 2:3] * ops.convert_to_tensor([-0.5, -0.5, 0.5, 0.5])
    cos, sin = ops.cos(angle), ops.sin(angle)
    return center + ops.stack([across * sin + down * cos, across * cos - down * sin], -1)


def from_corners(points):
    """Returns boxes `(..., 5)` from four corners `(..., 4, 2)` of y and x in order; the inverse of `corners`.

    If the corners are not an exact rectangle, the box has their center, the direction of the first side, and the mean
    lengths of opposite sides.
    """
    points = ops.convert_to_tensor(points, "float32")
    sides = ops.roll(points, -1, axis=-2) - points
    lengths = ops.sqrt(ops.sum(sides**2, -1))
    width, height = (lengths[..., 0] + lengths[..., 2]) / 2, (lengths[..., 1] + lengths[..., 3]) / 2
    along = sides[..., 0, :] - sides[..., 2, :]
    center = ops.mean(points, -2)
    return ops.stack([center[..., 0], center[..., 1], height, width, ops.arctan2(along[..., 0], along[..., 1])], -1)


def around(boxes):
    """Returns the axis-aligned boxes `(..., 4)` around rotated boxes `(..., 5)`."""
    return plain.around(corners(boxes))


def iou(a, b):
    """Computes the intersection over union of every pair of rotated boxes.

    For each pair, every point on the outline of the box of `b` is moved to the nearest point of the box of `a`, in the
    coordinates of the box of `a`. The moved outline then encloses exactly the intersection. The shoelace formula gives
    its area. Every step is continuous, so nearly parallel sides need no special case.

    Args:
        a: Boxes `(n, 5)`, or `(batch, n, 5)`.
        b: Boxes `(m, 5)`, or `(batch, m, 5)`.

    Returns:
        Values in [0, 1], `(n, m)` or `(batch, n, m)`, float32. A pair with an empty box has 0.

    Example:
        >>> cross = np.array([[0.0, 0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 1.0, 2.0, np.pi / 2]])
        >>> [f"{value:.3f}" for value in np.asarray(kv.detection.rotated_iou(cross, cross))[0]]
        ['1.000', '0.333']
    """
    a, b = ops.convert_to_tensor(a, "float32"), ops.convert_to_tensor(b, "float32")
    half = a[..., :, None, 2:4] / 2  # (n, 1, 2)
    cos, sin = ops.cos(a[..., 4])[..., None, None], ops.sin(a[..., 4])[..., None, None]
    y, x = (corners(b)[..., None, :, :, i] - a[..., :, None, None, i] for i in range(2))
    outline = ops.stack([y * cos - x * sin, y * sin + x * cos], -1)  # (n, m, 4, 2): down and across `a`
    common = sum(_enclosed(outline[..., i, :], outline[..., (i + 1) % 4, :], half) for i in range(4))
    common = ops.maximum(common, 0.0)
    union = (a[..., 2] * a[..., 3])[..., :, None] + (b[..., 2] * b[..., 3])[..., None, :] - common
    return ops.clip(ops.divide_no_nan(common, union), 0.0, 1.0)


def _enclosed(start, end, half):
    """Returns the area that the side from `start` to `end` `(n, m, 2)`, moved into the box, adds."""
    step = end - start
    flat = ops.abs(step) < 1e-6  # the coordinate does not change along such a side, so any point may divide the side
    safe = ops.where(flat, 1.0, step)
    shares = [ops.clip((edge - start) / safe, 0.0, 1.0) for edge in (-half, half)]
    low, high = ops.minimum(*shares), ops.maximum(*shares)  # where the side crosses the two limits of an axis
    first, second = ops.minimum(low[..., :1], low[..., 1:]), ops.maximum(low[..., :1], low[..., 1:])
    third, fourth = ops.minimum(high[..., :1], high[..., 1:]), ops.maximum(high[..., :1], high[..., 1:])
    middle = ops.minimum(second, third), ops.maximum(second, third)
    points = [ops.clip(start + share * step, -half, half) for share in (first, *middle, fourth)]
    points = [ops.clip(start, -half, half), *points, ops.clip(end, -half, half)]
    areas = [p[..., 1] * q[..., 0] - p[..., 0] * q[..., 1] for p, q in itertools.pairwise(points)]
    return sum(areas) / 2


def encode(boxes, references):
    """Describes rotated boxes by their offsets from rotated reference boxes.

    Args:
        boxes: Boxes `(..., 5)`, with sides above 0.
        references: Boxes `(..., 5)`, with sides above 0.

    Returns:
        `(..., 5)`. The first two values are the offset of the center in the frame of the reference, as shares of the
        height and width of the reference. The next two are the logarithms of the ratio of the heights and of the ratio
        of the widths. The last is the difference of the angles in [-pi/2, pi/2).

    References:
        Ma et al. 2018, arXiv 1703.01086, section III-D.
    """
    boxes, references = ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(references, "float32")
    y, x = (boxes[..., i] - references[..., i] for i in range(2))
    cos, sin = ops.cos(references[..., 4]), ops.sin(references[..., 4])
    height, width = references[..., 2], references[..., 3]
    ratios = ops.log(boxes[..., 2] / height), ops.log(boxes[..., 3] / width)
    turn = _half_turn(boxes[..., 4] - references[..., 4])
    return ops.stack([(y * cos - x * sin) / height, (y * sin + x * cos) / width, *ratios, turn], -1)


def decode(deltas, references):
    """Returns the boxes `(..., 5)` for the result of `encode`, with angles in [-pi/2, pi/2)."""
    deltas, references = ops.convert_to_tensor(deltas, "float32"), ops.convert_to_tensor(references, "float32")
    height, width = references[..., 2], references[..., 3]
    down, across = deltas[..., 0] * height, deltas[..., 1] * width
    cos, sin = ops.cos(references[..., 4]), ops.sin(references[..., 4])
    y, x = references[..., 0] + down * cos + across * sin, references[..., 1] - down * sin + across * cos
    sides = height * ops.exp(deltas[..., 2]), width * ops.exp(deltas[..., 3])
    return ops.stack([y, x, *sides, _half_turn(references[..., 4] + deltas[..., 4])], -1)
