"""Compares one pass of a convolutionalized network with the sliding window."""

from dataclasses import dataclass

import keras
import numpy as np

from kvision.segmentation.sliding_window import sliding_window
from kvision.segmentation.windows import window_grid

__all__ = ["Equivalence", "equivalence_report"]


@dataclass(frozen=True)
class Equivalence:
    """Differences between one pass of a convolutionalized network and the sliding window.

    Attributes:
        cells: Number of windows that were compared.
        largest: The largest absolute difference between two scores.
        relative: The norm of all differences, divided by the norm of the scores of the sliding window.
        agreement: Share of the windows for which both give the same best class, in [0, 1].
        spread: The largest standard deviation of the scores of a class over the windows, among all classes.
        exact: Whether `largest` is at most 1e-5 of the largest score (or of 1) and at most 1e-3 of `spread`. Also False
            if all windows have the same scores, as with some untrained networks. The comparison then proves nothing.
    """

    cells: int
    largest: float
    relative: float
    agreement: float
    spread: float
    exact: bool


def equivalence_report(
    model: keras.Model, convolutional: keras.Model, image: np.ndarray, *, batch_size: int = 64
) -> Equivalence:
    """Compares each cell of a convolutionalized network with its window, which is cut out and classified separately.

    Args:
        model: The window classifier.
        convolutional: The model that `convolutionalize` made from `model`.
        image: `(height, width, channels)`, larger than a window. Use a typical photograph, because noise looks the same
            in all windows.
        batch_size: Number of windows in a call of `model`.

    Returns:
        The differences of the outputs. Compare logits if possible: a softmax hides some differences.

    Raises:
        UserError: If `convolutional` was not made from `model`, or if the image does not fit.

    Example:
        >>> x = keras.layers.Conv2D(4, 3, activation="relu")(image := keras.Input((16, 16, 3)))
        >>> classifier = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
        >>> convolutional = kv.segmentation.convolutionalize(classifier)
        >>> photograph = np.random.default_rng(0).uniform(size=(20, 24, 3))
        >>> kv.segmentation.equivalence_report(classifier, convolutional, photograph).exact
        True
    """
    image = np.asarray(image)
    grid = window_grid(model, convolutional)
    rows, columns = grid.cells(*image.shape[:2])
    naive = sliding_window(model, image, stride=grid.stride, batch_size=batch_size).scores[:rows, :columns]
    dense = np.asarray(convolutional.predict_on_batch(image[None]))[0, :rows, :columns]
    gap = np.abs(dense - naive)
    largest, spread = float(gap.max()), float(naive.std(axis=(0, 1)).max())
    return Equivalence(
        cells=rows * columns,
        largest=largest,
        relative=float(np.linalg.norm(gap) / max(np.linalg.norm(naive), 1e-12)),
        agreement=float((dense.argmax(-1) == naive.argmax(-1)).mean()),
        spread=spread,
        exact=spread > 0 and largest <= min(1e-5 * max(1.0, float(np.abs(naive).max())), 1e-3 * spread),
    )
