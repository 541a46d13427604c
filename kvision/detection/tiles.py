"""Merges the objects that a detector found in overlapping tiles of a photograph."""

from collections.abc import Sequence

import numpy as np

from kvision import checks
from kvision.objects import Objects
from kvision.ops import rotated_boxes
from kvision.ops.suppression import nms, rotated_nms

__all__ = ["merge_tiles"]

_NEAR = 0.02  # A box that ends this close to an inner border of its tile may be cut, as a share of the tile's side.
_SHARE = 0.5  # A cut box is dropped if at least this share of it lies in a whole box.


def merge_tiles(found: Sequence[Objects], places: np.ndarray, size: tuple[int, int], *, iou: float = 0.5) -> Objects:
    """Merges the objects found in overlapping tiles, so that each object appears once.

    A tile may cut an object at its border. The neighboring tile then has the whole object, if the tiles share more
    pixels than the object is long. Two rules remove what was found twice. First, a box that ends at an inner border of
    its tile is dropped if at least half of it lies in a whole box of the same class from a different tile. Second, of
    overlapping boxes of one class only the box with the highest score stays.

    Args:
        found: The objects of each tile, with scores, in pixels of the tile.
        places: `(tiles, 4)`: ymin, xmin, ymax and xmax of each tile in the photograph.
        size: Height and width of the photograph in pixels.
        iou: The second rule drops a box if its intersection over union with a better box is larger.

    Returns:
        The objects in pixels of the photograph, highest score first.

    Raises:
        UserError: If there is not one place for each tile.

    Example:
        >>> whole = kv.detection.Objects(np.array([[5.0, 60.0, 25.0, 80.0]]), np.array([0]), np.array([0.8]))
        >>> part = kv.detection.Objects(np.array([[5.0, 0.0, 25.0, 12.0]]), np.array([0]), np.array([0.9]))
        >>> places = np.array([[0, 0, 100, 100], [0, 68, 100, 168]])
        >>> kv.detection.merge_tiles([whole, part], places, (100, 168)).boxes.tolist()
        [[5.0, 60.0, 25.0, 80.0]]
    """
    if len(found) != len(places) or not len(found):
        raise checks.UserError("places", expected=f"one place for each of {len(found)} tiles", received=len(places))
    places = np.asarray(places, "float32")
    moved = [objects.boxes + _offset(objects.boxes, place) for objects, place in zip(found, places, strict=True)]
    boxes, labels = np.concatenate(moved), np.concatenate([objects.labels for objects in found])
    scores = np.concatenate([np.asarray(objects.scores) for objects in found])
    tile = np.repeat(np.arange(len(found)), [len(objects.labels) for objects in found])
    around = np.asarray(rotated_boxes.around(boxes)) if boxes.shape[1] == 5 else boxes
    cut = _cut(around, places[tile], size)
    keep = np.ones(len(boxes), bool)
    for i in np.flatnonzero(cut):
        others = ~cut & (labels == labels[i]) & (tile != tile[i])
        keep[i] = not (_inside(around[i], around[others]) >= _SHARE).any()
    suppress = nms if boxes.shape[1] == 4 else rotated_nms
    for label in np.unique(labels):
        rows = np.flatnonzero(keep & (labels == label))
        if len(rows):
            keep[rows] = np.asarray(suppress(boxes[rows], scores[rows], iou=iou))
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return Objects(boxes[rows], labels[rows], scores[rows])


def _offset(boxes: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns what moves boxes from a tile to the photograph."""
    top, left = place[:2]
    return np.array([top, left, top, left] if boxes.shape[1] == 4 else [top, left, 0, 0, 0], "float32")


def _cut(boxes: np.ndarray, places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns which boxes end at a border of their tile that is no border of the photograph, `(n,)` bool."""
    near = _NEAR * np.tile(places[:, 2:] - places[:, :2], 2)
    beyond = (boxes - places) * [1, 1, -1, -1] <= near
    return (beyond & (places != [0, 0, *size])).any(1)


def _inside(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the share of a box that lies in each of the others, `(n,)`."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.maximum(sides, 0).prod(1) / max(float((box[2:] - box[:2]).prod()), 1e-9)
