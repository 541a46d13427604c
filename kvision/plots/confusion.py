"""Which class is taken for which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion_matrix"]


def confusion_matrix(axes: "Axes", labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> "Axes":
    """Counts of true (rows) against predicted (columns) classes. labels, predicted: (N,) int into class_names."""
    few = len(class_names) <= 30  # beyond, numbers and names overlap
    ConfusionMatrixDisplay.from_predictions(
        labels,
        predicted,
        labels=range(len(class_names)),
        include_values=few,
        values_format=",d",  # the default, .2g, shows 99,999 as 1e+05
        xticks_rotation="vertical",
        cmap="Blues",
        colorbar=not few,
        ax=axes,
    )
    if few:
        texts, properties = drawn(class_names)
        axes.set_xticks(range(len(texts)), texts, **properties)
        axes.set_yticks(range(len(texts)), texts, **properties)
    return axes
