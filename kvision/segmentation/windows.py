"""The windows of a sliding classifier: their positions, and the scores for each pixel."""

from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks
from kvision.layers import Pyramid

__all__ = ["WindowGrid", "Windows", "window_grid"]


@dataclass(frozen=True)
class WindowGrid:
    """The positions of the windows that belong to the cells of a convolutionalized network.

    The window of cell `(i, j)` has its upper left corner at pixel `(i * rows, j * columns)`.

    Attributes:
        window: `(height, width)` of a window in pixels.
        stride: `(rows, columns)`: distance between neighboring windows in pixels.
    """

    window: tuple[int, int]
    stride: tuple[int, int]

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Counts the whole windows of an image.

        Args:
            height: Height of the image in pixels.
            width: Width of the image in pixels.

        Returns:
            The number of windows `(down, across)`.
        """
        rows, columns = (
            max((side - w) // s + 1, 0) for side, w, s in zip((height, width), self.window, self.stride, strict=True)
        )
        return rows, columns

    def windows(self, scores: np.ndarray, height: int, width: int) -> "Windows":
        """Assigns the scores of a convolutionalized network to windows of its image.

        Args:
            scores: `(rows, columns, classes)`, the output for one image.
            height: Height of the image in pixels.
            width: Width of the image in pixels.

        Returns:
            The windows with their scores.
        """
        tops, lefts = (np.arange(count) * s for count, s in zip(scores.shape[:2], self.stride, strict=True))
        return Windows(np.asarray(scores), tops, lefts, self.window, (height, width))


@dataclass(frozen=True)
class Windows:
    """Scores of the windows of an image.

    Attributes:
        scores: `(rows, columns, classes)`.
        tops: `(rows,)`: the first pixel row of the windows.
        lefts: `(columns,)`: the first pixel column of the windows.
        window: `(height, width)` of a window in pixels.
        size: `(height, width)` of the image in pixels.
    """

    scores: np.ndarray
    tops: np.ndarray
    lefts: np.ndarray
    window: tuple[int, int]
    size: tuple[int, int]

    def stitch(self, how: str = "mean") -> np.ndarray:
        """Computes scores for each pixel of the image.

        Args:
            how: `"mean"` averages the windows that cover a pixel. `"center"` uses the window with the nearest center.
                In both cases, a pixel outside of all windows gets the scores of the nearest window.

        Returns:
            `(height, width, classes)` float32.
        """
        checks.one_of("how", how, ("mean", "center"))
        rows = _weights(self.tops, self.window[0], self.size[0], how)
        columns = _weights(self.lefts, self.window[1], self.size[1], how)
        return np.einsum("yi,ijk,xj->yxk", rows, self.scores.astype("float32"), columns, optimize=True)


def _weights(starts: np.ndarray, length: int, side: int, how: str) -> np.ndarray:
    """Returns the weight of each window in each pixel of an axis, `(side, len(starts))`."""
    pixels = np.arange(side)[:, None]
    nearest = np.abs(pixels + 0.5 - (starts + length / 2)).argmin(axis=1)[:, None] == np.arange(len(starts))
    covers = (pixels >= starts) & (pixels < starts + length)
    chosen = np.where(covers.any(axis=1, keepdims=True) & (how == "mean"), covers, nearest)
    return (chosen / chosen.sum(axis=1, keepdims=True)).astype("float32")


def window_grid(model: keras.Model, convolutional: keras.Model) -> WindowGrid:
    """Measures the grid of a convolutionalized classifier.

    Args:
        model: The classifier, from images `(batch, height, width, channels)` of a fixed size to `(batch, classes)`.
        convolutional: The model that `convolutionalize` made from `model`.

    Returns:
        The window, which is the image size of `model`, and the stride between neighboring windows. The stride is
        measured on two image sizes. It is exact even if it does not divide these sizes.

    Raises:
        UserError: If `convolutional` was not made from `model`, or if the number of its cells does not depend on the
            image size.

    Example:
        >>> x = image = keras.Input((16, 16, 3))
        >>> x = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(4, 3)(x))
        >>> classifier = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
        >>> kv.segmentation.window_grid(classifier, kv.segmentation.convolutionalize(classifier))
        WindowGrid(window=(16, 16), stride=(2, 2))
    """
    height, width = model.input_shape[1:3]
    if len(convolutional.output_shape) != 4:
        expected = "a model with the output (batch, rows, columns, classes)"
        raise checks.UserError("convolutional", expected=expected, received=convolutional.output_shape)
    view = Pyramid(convolutional.inputs, convolutional.outputs)
    (one,), ((rows, columns),) = view.sizes(height, width), view.steps(height, width)
    if one != (1, 1) or rows is None or columns is None:
        raise checks.UserError(
            "convolutional",
            problem="gives more than one cell for a window" if one != (1, 1) else "gives one cell for every image",
            expected=f"the model that `convolutionalize` makes of '{model.name}'",
            received=f"{one} for an image of {height} x {width}",
        )
    return WindowGrid((height, width), (rows, columns))
