"""Finds objects: boxes, rotated boxes, suppression, proposals, R-CNN, tiles, and images with one object.

Boxes are `ymin, xmin, ymax, xmax` in float32 pixels, half-open. Rotated boxes are `y, x, height, width, angle`.
"""

from kvision.detection.describe import Described, describe, learn_boxes, learn_classes, propose
from kvision.detection.detect import detect
from kvision.detection.detector import detector
from kvision.detection.grid import fitted_grid, grid
from kvision.detection.locator import HEADS, located, locator
from kvision.detection.rcnn import CROPS, RCNN, rcnn
from kvision.detection.recall import recall
from kvision.detection.rotated_segments import rotated_segments
from kvision.detection.sampled import DrawnProposals, TrainingImages
from kvision.detection.selective_search import require_opencv, selective_search
from kvision.detection.single import KeptObject, SingleObjects, largest_objects
from kvision.detection.tiles import merge_tiles
from kvision.objects import Objects
from kvision.ops import boxes, rotated_boxes
from kvision.ops.boxes import iou
from kvision.ops.rotated_boxes import iou as rotated_iou
from kvision.ops.suppression import nms, rotated_nms, soft_nms

__all__ = [
    "CROPS",
    "HEADS",
    "RCNN",
    "Described",
    "DrawnProposals",
    "KeptObject",
    "Objects",
    "SingleObjects",
    "TrainingImages",
    "boxes",
    "describe",
    "detect",
    "detector",
    "fitted_grid",
    "grid",
    "iou",
    "largest_objects",
    "learn_boxes",
    "learn_classes",
    "located",
    "locator",
    "merge_tiles",
    "nms",
    "propose",
    "rcnn",
    "recall",
    "require_opencv",
    "rotated_boxes",
    "rotated_iou",
    "rotated_nms",
    "rotated_segments",
    "selective_search",
    "soft_nms",
]
