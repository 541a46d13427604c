"""Data: files and arrays -> batches of images and labels, or of images and masks."""

from kvision.data.arrays import digits, load_npz
from kvision.data.coco_masks import coco_masks
from kvision.data.digit_scenes import digit_scenes
from kvision.data.images import Images, from_arrays, from_csv, from_folder
from kvision.data.joint import JointAugment
from kvision.data.label_maps import IGNORE, LABEL_MAPS, LabelMap, label_map
from kvision.data.masks import MaskedImages, from_masks
from kvision.data.pipeline import mask_pipeline, pipeline
from kvision.data.pixel_store import PixelStore
from kvision.data.scan import BadFile, Scan, scan
from kvision.data.splits import leaks, sample, split, write_manifest

__all__ = [
    "BadFile",
    "IGNORE",
    "Images",
    "JointAugment",
    "LABEL_MAPS",
    "LabelMap",
    "MaskedImages",
    "PixelStore",
    "Scan",
    "from_arrays",
    "from_csv",
    "coco_masks",
    "digit_scenes",
    "digits",
    "from_folder",
    "label_map",
    "leaks",
    "load_npz",
    "mask_pipeline",
    "from_masks",
    "pipeline",
    "sample",
    "scan",
    "split",
    "write_manifest",
]
