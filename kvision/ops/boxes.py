"""Axis-aligned boxes: `ymin, xmin, ymax, xmax`, float32 pixels, half-open."""

from keras import ops
from keras.utils import bounding_boxes

from kvision import checks

__all__ = [
    "FORMATS",
    "area",
    "around",
    "ciou",
    "clip",
    "convert",
    "decode",
    "encode",
    "flip",
    "giou",
    "iou",
    "transform",
]

FORMATS = {  # the name of each format in Keras
    "yxyx": "yxyx",
    "xyxy": "xyxy",
    "voc": "xyxy",
    "coco": "xywh",
    "yolo": "rel_center_xywh",
    "normalized": "rel_yxyx",
    "center": "center_yxhw",
}
_SHARES = ("yolo", "normalized")
_VOC = (1.0, 1.0, 0.0, 0.0)  # Pascal VOC counts pixels from 1, and the last pixel belongs to the box


def convert(boxes, source: str, target: str, *, size: tuple[int, int] | None = None):
    """Converts boxes from one format to a different format.

    Args:
        boxes: Boxes `(..., 4)` in the format `source`.
        source: One of `yxyx` (kvision's: ymin, xmin, ymax, xmax in pixels, half-open), `xyxy`, `voc` (Pascal VOC: xmin,
            ymin, xmax, ymax, 1-based, including the last pixel), `coco` (xmin, ymin, width, height), `yolo` (center x,
            center y, width, height as shares of the image), `normalized` (yxyx as shares of the image) and `center`
            (center y, center x, height, width).
        target: One of the same formats.
        size: Height and width of the image in pixels. Needed for `yolo` and `normalized`.

    Returns:
        Boxes `(..., 4)`, float32, in the format `target`.

    Raises:
        UserError: If a format is unknown, or if `size` is missing.

    Example:
        >>> boxes = kv.detection.boxes.convert(np.array([[10.0, 20.0, 30.0, 40.0]]), "coco", "yxyx")
        >>> np.asarray(boxes).tolist()
        [[20.0, 10.0, 60.0, 40.0]]
    """
    checks.one_of("source", source, FORMATS)
    checks.one_of("target", target, FORMATS)
    if size is None and (source in _SHARES or target in _SHARES):
        raise checks.UserError("size", expected="height and width of the image", received=size)
    boxes = ops.convert_to_tensor(boxes, "float32")
    if source == "voc":
        boxes = boxes - ops.convert_to_tensor(_VOC)
    height, width = size or (None, None)
    boxes = bounding_boxes.convert_format(boxes, FORMATS[source], FORMATS[target], height=height, width=width)
    return boxes + ops.convert_to_tensor(_VOC) if target == "voc" else boxes


def area(boxes):
    """Returns the areas `(...,)` of boxes `(..., 4)` in square pixels. A box with a negative side has area 0."""
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def iou(a, b):
    """Computes the intersection over union of every pair of boxes.

    Args:
        a: Boxes `(n, 4)`, or `(batch, n, 4)`.
        b: Boxes `(m, 4)`, or `(batch, m, 4)`.

    Returns:
        Values in [0, 1], `(n, m)` or `(batch, n, m)`, float32. The value is 0 for a pair with an empty box.

    Example:
        >>> a, b = np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
        >>> [f"{value:.3f}" for value in np.asarray(kv.detection.iou(a, b))[0]]
        ['0.333', '0.000']
    """
    a, b = ops.convert_to_tensor(a, "float32"), ops.convert_to_tensor(b, "float32")
    return bounding_boxes.compute_iou(a, b, "yxyx")


def giou(a, b):
    """Computes the generalized intersection over union of boxes, row by row.

    Args:
        a: Boxes `(..., 4)`.
        b: Boxes `(..., 4)`. Each box is compared with the box of `a` at the same position.

    Returns:
        Values in (-1, 1], `(...,)`. The value is 1 for equal boxes, and it comes closer to -1 as the distance of the
        boxes grows. It is 0 for a pair of equal boxes without area.

    References:
        Rezatofighi et al. 2019, arXiv 1902.09630, algorithm 1.
    """
    a, b = ops.convert_to_tensor(a, "float32"), ops.convert_to_tensor(b, "float32")
    low, high = ops.maximum(a[..., :2], b[..., :2]), ops.minimum(a[..., 2:], b[..., 2:])
    common = area(ops.concatenate([low, high], -1))
    union = area(a) + area(b) - common
    low, high = ops.minimum(a[..., :2], b[..., :2]), ops.maximum(a[..., 2:], b[..., 2:])
    hull = area(ops.concatenate([low, high], -1))
    return ops.divide_no_nan(common, union) - ops.divide_no_nan(hull - union, hull)


def ciou(a, b):
    """Computes the complete intersection over union of boxes, row by row.

    Two penalties are subtracted from the intersection over union: one for the distance of the centers, and one for
    different aspect ratios.

    Args:
        a: Boxes `(..., 4)`.
        b: Boxes `(..., 4)`. Each box is compared with the box of `a` at the same position.

    Returns:
        Values of at most 1, `(...,)`. The value is 1 for equal boxes with an area.

    References:
        Zheng et al. 2020, arXiv 1911.08287, equations 8 to 11.
    """
    a, b = ops.convert_to_tensor(a, "float32"), ops.convert_to_tensor(b, "float32")
    return bounding_boxes.compute_ciou(a, b, "yxyx")


def around(points):
    """Computes the smallest boxes around groups of points.

    Args:
        points: `(..., points, 2)` of y and x.

    Returns:
        Boxes `(..., 4)`.
    """
    # The initial values allow for no group at all, where Keras refuses a minimum without them.
    low, high = ops.min(points, -2, initial=float("inf")), ops.max(points, -2, initial=float("-inf"))
    return ops.concatenate([low, high], -1)


def clip(boxes, size):
    """Clips boxes `(..., 4)` to an image of `size` (height, width). Sides outside the image move to its border."""
    height, width = size
    limits = ops.cast(ops.stack([height, width, height, width]), "float32")
    return ops.clip(ops.convert_to_tensor(boxes, "float32"), 0.0, limits)


def flip(boxes, width):
    """Mirrors boxes `(..., 4)` in an image of `width` pixels from left to right."""
    top, left, bottom, right = (boxes[..., i] for i in range(4))
    return ops.stack([top, width - right, bottom, width - left], -1)


def transform(boxes, matrix):
    """Moves boxes with a projective transform of the image.

    Args:
        boxes: Boxes `(n, 4)`.
        matrix: `(3, 3)`, which maps homogeneous points (x, y, 1) of the image to those of the transformed image.

    Returns:
        Boxes `(n, 4)`, float32. Each is the smallest box around its four moved corners.
    """
    boxes, matrix = ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(matrix, "float32")
    top, left, bottom, right = (boxes[..., i] for i in range(4))
    x, y = ops.stack([left, right, right, left], -1), ops.stack([top, top, bottom, bottom], -1)
    points = ops.stack([x, y, ops.ones_like(x)], -1) @ ops.transpose(matrix)
    moved = points[..., 1::-1] / points[..., 2:]  # (n, corners, 2) of y and x
    return around(moved)


def encode(boxes, references):
    """Describes boxes by their offsets from reference boxes, as the target of a regression.

    Args:
        boxes: Boxes `(..., 4)`, with sides above 0.
        references: Boxes `(..., 4)`, with sides above 0: anchors or proposals.

    Returns:
        `(..., 4)`, float32. The first two values are the offsets dy and dx of the center, as shares of the height and
        width of the reference. The last two values are the logarithms of the ratio of the heights and of the ratio of
        the widths.

    References:
        Girshick et al. 2014, arXiv 1311.2524, appendix C.
    """
    boxes, references = ops.convert_to_tensor(boxes, "float32"), ops.convert_to_tensor(references, "float32")
    return bounding_boxes.encode_box_to_deltas(references, boxes, "yxyx", "yxyx")


def decode(deltas, references):
    """Returns the boxes `(..., 4)`, float32, for the offsets `deltas` from `references`; the inverse of `encode`."""
    deltas, references = ops.convert_to_tensor(deltas, "float32"), ops.convert_to_tensor(references, "float32")
    return bounding_boxes.decode_deltas_to_boxes(references, deltas, "yxyx", "yxyx")
