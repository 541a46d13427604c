"""Where the windows of a sliding classifier lie, and what they say about each pixel."""

from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks
from kvision.layers import Pyramid

__all__ = ["WindowGrid", "Windows", "window_grid"]


@dataclass(frozen=True)
class WindowGrid:
    """window: (height, width) of a window. stride: (rows, columns) of pixels from a window to the next.

    Cell (i, j) of a convolutionalized network stands for rows [i stride, i stride + height), columns likewise.
    """

    window: tuple[int, int]
    stride: tuple[int, int]

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """How many whole windows an image of that size holds, by rows and columns."""
        rows, columns = (
            max((side - w) // s + 1, 0) for side, w, s in zip((height, width), self.window, self.stride, strict=True)
        )
        return rows, columns

    def windows(self, scores: np.ndarray, height: int, width: int) -> "Windows":
        """The scores (rows, columns, K) of a convolutionalized network, as those of windows of its image."""
        tops, lefts = (np.arange(count) * s for count, s in zip(scores.shape[:2], self.stride, strict=True))
        return Windows(np.asarray(scores), tops, lefts, self.window, (height, width))


@dataclass(frozen=True)
class Windows:
    """scores: (rows, columns, K). tops, lefts: the pixel of each row's and column's corner. window, size: (height,
    width) of a window and of the image."""

    scores: np.ndarray
    tops: np.ndarray
    lefts: np.ndarray
    window: tuple[int, int]
    size: tuple[int, int]

    def stitch(self, how: str = "mean") -> np.ndarray:
        """-> (H, W, K) float32. how: "mean" of the windows that cover a pixel, or "center": the window whose center is
        nearest. A pixel that no window covers takes the nearest.
        """
        checks.one_of("how", how, ("mean", "center"))
        rows = _weights(self.tops, self.window[0], self.size[0], how)
        columns = _weights(self.lefts, self.window[1], self.size[1], how)
        return np.einsum("yi,ijk,xj->yxk", rows, self.scores.astype("float32"), columns, optimize=True)


def _weights(starts: np.ndarray, length: int, side: int, how: str) -> np.ndarray:
    """(side, len(starts)): the share that each window has in each pixel of an axis."""
    pixels = np.arange(side)[:, None]
    nearest = np.abs(pixels + 0.5 - (starts + length / 2)).argmin(axis=1)[:, None] == np.arange(len(starts))
    covers = (pixels >= starts) & (pixels < starts + length)
    chosen = np.where(covers.any(axis=1, keepdims=True) & (how == "mean"), covers, nearest)
    return (chosen / chosen.sum(axis=1, keepdims=True)).astype("float32")


def window_grid(model: keras.Model, convolutional: keras.Model) -> WindowGrid:
    """Reads the grid of a convolutionalized classifier off its graph.

    Args:
        model: The classifier, from images `(batch, height, width, channels)` of a fixed size to `(batch, classes)`.
        convolutional: The model that `convolutionalize` made of `model`.

    Returns:
        The window, which is the image size of `model`, and the stride from a window to the next. The stride is measured
        on two image sizes and is exact, whether or not it divides them.

    Raises:
        kvision.UserError: If `convolutional` was not made of `model`, or its cells do not follow the image size.
    """
    height, width = model.input_shape[1:3]
    if len(convolutional.output_shape) != 4:
        raise checks.error("convolutional", expected="a model -> (B, h, w, K)", received=convolutional.output_shape)
    view = Pyramid(convolutional.inputs, convolutional.outputs)
    (one,), ((rows, columns),) = view.sizes(height, width), view.steps(height, width)
    if one != (1, 1) or rows is None or columns is None:
        raise checks.error(
            "convolutional",
            problem="gives more than one cell for a window" if one != (1, 1) else "gives one cell for every image",
            expected=f"what `convolutionalize` makes of '{model.name}'",
            received=f"{one} for an image of {height} x {width}",
        )
    return WindowGrid((height, width), (rows, columns))
