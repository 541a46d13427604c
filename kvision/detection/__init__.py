"""Tools for finding objects: boxes, rotated boxes, suppression and proposals.

Boxes are `ymin, xmin, ymax, xmax` in float32 pixels, half-open. Rotated boxes are `y, x, height, width, angle`.
"""

from kvision.detection.grid import grid
from kvision.detection.recall import recall
from kvision.detection.rotated_segments import rotated_segments
from kvision.detection.selective_search import selective_search
from kvision.objects import Objects
from kvision.ops import boxes, rotated_boxes
from kvision.ops.boxes import iou
from kvision.ops.rotated_boxes import iou as rotated_iou
from kvision.ops.suppression import nms, rotated_nms, soft_nms

__all__ = [
    "Objects",
    "boxes",
    "grid",
    "iou",
    "nms",
    "recall",
    "rotated_boxes",
    "rotated_iou",
    "rotated_nms",
    "rotated_segments",
    "selective_search",
    "soft_nms",
]
