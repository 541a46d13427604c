"""Codes boxes by their offsets from the cells of a feature map."""

import math

from keras import ops

from kvision.ops import boxes as plain

__all__ = ["area", "centers", "columns", "decode", "encode", "inside"]

_LARGEST = math.log(1000 / 16)  # torchvision's limit of the logarithm of a side, so that exp does not overflow


def columns(*, rotated: bool) -> int:
    """Returns the number of offsets of a box: 6 for rotated boxes, or 4."""
    return 6 if rotated else 4


def centers(maps, stride: int):
    """Returns the centers of the cells of maps `(batch, h, w, channels)`, `(h * w, 2)` y and x in pixels."""
    rows, across = ops.shape(maps)[1], ops.shape(maps)[2]
    y = (ops.cast(ops.arange(rows, dtype="int32"), "float32") + 0.5) * stride
    x = (ops.cast(ops.arange(across, dtype="int32"), "float32") + 0.5) * stride
    grid = ops.stack(ops.meshgrid(y, x, indexing="ij"), -1)
    return ops.reshape(grid, (-1, 2))


def encode(boxes, cells, side: float):
    """Describes boxes by their offsets from cells.

    Args:
        boxes: Boxes `(..., 4)` or rotated boxes `(..., 5)`, with sides above 0.
        cells: Centers of the cells `(..., 2)`.
        side: Side of the square around a cell that has no offset, in pixels.

    Returns:
        `(..., 4)`: the offset of the center as shares of `side`, and the logarithms of height and width as shares of
        `side`. For rotated boxes `(..., 6)`, with sine and cosine of twice the angle, which are the same after half a
        turn.
    """
    if boxes.shape[-1] == 4:
        center, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
        return ops.concatenate([(center - cells) / side, ops.log(sides / side)], -1)
    turn = 2 * boxes[..., 4:]
    parts = [(boxes[..., :2] - cells) / side, ops.log(boxes[..., 2:4] / side), ops.sin(turn), ops.cos(turn)]
    return ops.concatenate(parts, -1)


def decode(offsets, cells, side: float):
    """Returns the boxes for the result of `encode`: `(..., 4)`, or `(..., 5)` if there are 6 offsets."""
    center = cells + offsets[..., :2] * side
    sides = ops.exp(ops.minimum(offsets[..., 2:4], _LARGEST)) * side
    if offsets.shape[-1] == 4:
        return ops.concatenate([center - sides / 2, center + sides / 2], -1)
    return ops.concatenate([center, sides, ops.arctan2(offsets[..., 4:5], offsets[..., 5:6]) / 2], -1)


def inside(cells, boxes):
    """Computes where cells lie in boxes.

    Args:
        cells: Centers `(..., n, 2)`.
        boxes: Boxes `(..., m, 4)` or rotated boxes `(..., m, 5)`.

    Returns:
        `(..., n, m)`: the larger one of the distances to the center of the box along its two axes, as a share of the
        side. It is 0 in the center, 0.5 on the border, and infinite for a box without area.
    """
    if boxes.shape[-1] == 4:
        center, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
        away = cells[..., :, None, :] - center[..., None, :, :]
    else:
        center, sides, angle = boxes[..., :2], boxes[..., 2:4], boxes[..., 4:]
        step = cells[..., :, None, :] - center[..., None, :, :]
        cos, sin = ops.cos(angle)[..., None, :, 0], ops.sin(angle)[..., None, :, 0]
        away = ops.stack([step[..., 0] * cos - step[..., 1] * sin, step[..., 0] * sin + step[..., 1] * cos], -1)
    sides = sides[..., None, :, :]
    share = ops.where(sides > 0, ops.abs(away) / ops.where(sides > 0, sides, 1.0), float("inf"))
    return ops.max(share, -1)


def area(boxes):
    """Returns the areas of boxes `(..., 4)` or of rotated boxes `(..., 5)`."""
    return plain.area(boxes) if boxes.shape[-1] == 4 else boxes[..., 2] * boxes[..., 3]
