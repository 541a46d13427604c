"""Draws the confusion matrix of a classifier."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from kvision.plots.names import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion_matrix"]


def confusion_matrix(axes: "Axes", labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> "Axes":
    """Draws the number of images for each pair of true class (row) and predicted class (column).

    Args:
        axes: Where to draw.
        labels: `(n,)`, integers: the true classes as indices into `class_names`.
        predicted: `(n,)`, integers: the predicted classes.
        class_names: Names of the classes. If there are more than 30 classes, names and numbers are not drawn.

    Returns:
        `axes`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = kv.plots.confusion_matrix(Figure().subplots(), [0, 0, 1], [0, 1, 1], ["cat", "dog"])
    """
    few = len(class_names) <= 30  # with more classes, numbers and names overlap
    ConfusionMatrixDisplay.from_predictions(
        labels,
        predicted,
        labels=range(len(class_names)),
        include_values=few,
        values_format=",d",  # the default shows 99,999 as 1e+05
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
