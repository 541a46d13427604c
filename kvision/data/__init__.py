"""Datasets of images with labels, masks or boxes, from files or arrays, and batches for training."""

from kvision.data.arrays import digits, load_npz
from kvision.data.batches import Augmentable, Batches, batches
from kvision.data.boxed_images import BoxedImages, from_boxes
from kvision.data.coco_masks import coco_masks
from kvision.data.digit_scenes import digit_scenes
from kvision.data.frames import Frames, clip_split, from_clips
from kvision.data.images import Images, from_arrays, from_csv, from_folder
from kvision.data.label_maps import IGNORE, LABEL_MAPS, LabelMap, label_map
from kvision.data.masks import MaskedImages, from_masks
from kvision.data.photo_tiles import photo_tiles
from kvision.data.pictures import Pictures, from_pictures, pictures_of
from kvision.data.pixel_store import PixelStore
from kvision.data.rotated_scenes import rotated_scenes
from kvision.data.scan import BadFile, Scan, scan
from kvision.data.shape_objects import shape_objects
from kvision.data.splits import leaks, sample, split, write_manifest
from kvision.data.write_boxes import write_boxes

__all__ = [
    "Augmentable",
    "BadFile",
    "Batches",
    "BoxedImages",
    "batches",
    "Frames",
    "IGNORE",
    "Images",
    "LABEL_MAPS",
    "LabelMap",
    "MaskedImages",
    "Pictures",
    "PixelStore",
    "Scan",
    "from_arrays",
    "from_boxes",
    "from_clips",
    "from_csv",
    "clip_split",
    "coco_masks",
    "digit_scenes",
    "digits",
    "from_folder",
    "from_pictures",
    "label_map",
    "leaks",
    "load_npz",
    "from_masks",
    "photo_tiles",
    "pictures_of",
    "rotated_scenes",
    "sample",
    "scan",
    "shape_objects",
    "split",
    "write_boxes",
    "write_manifest",
]
