"""Pictures: each function draws on the matplotlib axes that it is given and returns them (extra `plots`)."""

from kvision.plots.accuracy import accuracy_bars
from kvision.plots.captioned_images import captioned_images
from kvision.plots.confusion import confusion_matrix
from kvision.plots.embedding import embedding_map
from kvision.plots.label_maps import class_bars, label_maps
from kvision.plots.methods import method_table
from kvision.plots.rate_curve import rate_curve
from kvision.plots.training_curve import training_curve
from kvision.plots.upscalings import upscalings

__all__ = [
    "accuracy_bars",
    "captioned_images",
    "class_bars",
    "confusion_matrix",
    "embedding_map",
    "label_maps",
    "method_table",
    "rate_curve",
    "training_curve",
    "upscalings",
]
