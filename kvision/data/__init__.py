"""Data: files and arrays -> batches of images and labels."""

from kvision.data.arrays import digits, load_npz
from kvision.data.images import Images, arrays, folders
from kvision.data.pipeline import pipeline
from kvision.data.pixel_store import PixelStore
from kvision.data.scan import BadFile, Scan, scan
from kvision.data.splits import leaks, sample, split, write_manifest

__all__ = [
    "BadFile",
    "Images",
    "PixelStore",
    "Scan",
    "arrays",
    "digits",
    "folders",
    "leaks",
    "load_npz",
    "pipeline",
    "sample",
    "scan",
    "split",
    "write_manifest",
]
