"""A label for each pixel: classifiers slid over an image, and rewritten so that one pass does the same."""

from kvision.segmentation.convolutionalize import convolutionalize
from kvision.segmentation.equivalence import Equivalence, equivalence_report
from kvision.segmentation.output_stride import to_output_stride
from kvision.segmentation.shift_and_stitch import shift_and_stitch
from kvision.segmentation.sliding_window import sliding_window
from kvision.segmentation.windows import WindowGrid, Windows, window_grid

__all__ = [
    "Equivalence",
    "WindowGrid",
    "Windows",
    "convolutionalize",
    "equivalence_report",
    "shift_and_stitch",
    "sliding_window",
    "to_output_stride",
    "window_grid",
]
