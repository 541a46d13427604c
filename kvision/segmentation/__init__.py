"""Segmentation with classifiers that slide over an image, and with networks that give a label to each pixel."""

from kvision.segmentation.class_weights import median_frequency
from kvision.segmentation.convolutionalize import convolutionalize
from kvision.segmentation.crf import CRFParameters, FittedCRF, dense_crf, fit_crf
from kvision.segmentation.edges import Fusion, choose_fusion, edge_map, fuse_edges
from kvision.segmentation.equivalence import Equivalence, equivalence_report
from kvision.segmentation.evaluate import Scores, evaluate
from kvision.segmentation.output_stride import to_output_stride
from kvision.segmentation.predict import predict
from kvision.segmentation.shift_and_stitch import shift_and_stitch
from kvision.segmentation.sliding_window import sliding_window
from kvision.segmentation.tiled import tiled
from kvision.segmentation.windows import WindowGrid, Windows, window_grid

__all__ = [
    "CRFParameters",
    "Equivalence",
    "Fusion",
    "FittedCRF",
    "Scores",
    "WindowGrid",
    "Windows",
    "choose_fusion",
    "convolutionalize",
    "edge_map",
    "equivalence_report",
    "evaluate",
    "fuse_edges",
    "dense_crf",
    "fit_crf",
    "predict",
    "median_frequency",
    "shift_and_stitch",
    "sliding_window",
    "tiled",
    "to_output_stride",
    "window_grid",
]
