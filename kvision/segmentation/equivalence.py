"""Whether one pass of a convolutionalized network says what its sliding window says, measured."""

from dataclasses import dataclass

import keras
import numpy as np

from kvision.segmentation.sliding_window import sliding_window
from kvision.segmentation.windows import window_grid

__all__ = ["Equivalence", "equivalence_report"]


@dataclass(frozen=True)
class Equivalence:
    """cells: how many windows were compared. largest: the largest difference of a score. relative: the norm of all
    differences over that of the sliding window's scores. agreement: the share of windows with the same best class.
    spread: the standard deviation of a class's scores from window to window, of the class where it is largest. exact:
    `largest` is at most 1e-5 of the largest score (or of 1) and 1e-3 of `spread`; never where all windows score alike,
    as those of an untrained network may, which shows nothing."""

    cells: int
    largest: float
    relative: float
    agreement: float
    spread: float
    exact: bool


def equivalence_report(
    model: keras.Model, convolutional: keras.Model, image: np.ndarray, *, batch_size: int = 64
) -> Equivalence:
    """Compares each cell of `convolutional`, which `convolutionalize` made of `model`, with its window cut out alone.

    image: (H, W, C), a photograph like those that will come, larger than a window: with noise, or one window, nothing
    is shown. Scores are compared as the models give them; softmax hides differences that logits show.
    Raises UserError as `window_grid` and `sliding_window` do.
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
