"""Pictures: each function draws on matplotlib axes and returns them (the extra `plots`)."""

from kvision.plots.accuracy import accuracy_bars
from kvision.plots.accuracy_curve import accuracy_curve
from kvision.plots.boxes import boxes
from kvision.plots.captioned_images import captioned_images
from kvision.plots.confusion import confusion_matrix
from kvision.plots.embedding import embedding_map
from kvision.plots.error_split import error_split
from kvision.plots.interval_points import interval_points
from kvision.plots.label_maps import class_bars, label_maps
from kvision.plots.learning_rate_curve import learning_rate_curve
from kvision.plots.methods import method_table
from kvision.plots.picture_table import picture_table
from kvision.plots.precision_recall import precision_recall
from kvision.plots.recall_curve import recall_curve
from kvision.plots.training_curve import training_curve
from kvision.plots.upscalings import upscalings

__all__ = [
    "accuracy_bars",
    "accuracy_curve",
    "boxes",
    "captioned_images",
    "class_bars",
    "confusion_matrix",
    "embedding_map",
    "error_split",
    "interval_points",
    "label_maps",
    "learning_rate_curve",
    "method_table",
    "picture_table",
    "precision_recall",
    "recall_curve",
    "training_curve",
    "upscalings",
]
