"""Pictures: each function draws on the matplotlib axes that it is given and returns them (extra `plots`)."""

from kvision.plots.accuracy import accuracy_bars
from kvision.plots.confusion import confusion_matrix

__all__ = ["accuracy_bars", "confusion_matrix"]
