"""Pictures: each function draws on matplotlib axes and returns them (the extra `plots`)."""

from kvision.plots.accuracy import accuracy_bars
from kvision.plots.captioned_images import captioned_images
from kvision.plots.confusion import confusion_matrix
from kvision.plots.embedding import embedding_map
from kvision.plots.label_maps import class_bars, label_maps
from kvision.plots.learning_rate_curve import learning_rate_curve
from kvision.plots.methods import method_table
from kvision.plots.training_curve import training_curve
from kvision.plots.upscalings import upscalings

__all__ = [
    "accuracy_bars",
    "captioned_images",
    "class_bars",
    "confusion_matrix",
    "embedding_map",
    "label_maps",
    "learning_rate_curve",
    "method_table",
    "training_curve",
    "upscalings",
]
