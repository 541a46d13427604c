"""Pictures: each function draws on the matplotlib axes that it is given and returns them (extra `plots`)."""

from kvision.plots.accuracy import accuracy_bars
from kvision.plots.confusion import confusion_matrix
from kvision.plots.embedding import embedding_map
from kvision.plots.methods import method_table
from kvision.plots.rate_curve import rate_curve
from kvision.plots.training_curve import training_curve

__all__ = ["accuracy_bars", "confusion_matrix", "embedding_map", "method_table", "rate_curve", "training_curve"]
