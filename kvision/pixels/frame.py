"""The first picture of a file that may hold several, cut out of it as bytes and put where it belongs on the canvas."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["Frame", "on_canvas", "on_canvas_in_graph"]


class Frame(NamedTuple):
    """Of Python values, or of tensors in a graph.

    still: encoded bytes that hold this picture alone. alpha: whether these have an alpha channel. canvas: (height,
    width) of the whole image. box: (top, left, height, width) of the picture on it. tiff: what EXIF says, b"" for
    nothing.
    """

    still: Any
    alpha: Any
    canvas: Any
    box: Any
    tiff: Any = b""

    @property
    def fits(self):
        """Whether the box lies on the canvas."""
        top, left, height, width = self.box
        return (top + height <= self.canvas[0]) & (left + width <= self.canvas[1])


def on_canvas(image: np.ndarray, frame: Frame) -> np.ndarray:
    """(h, w, 3) uint8 of the box -> (H, W, 3) of the canvas; what the picture does not cover is white."""
    top, left, height, width = frame.box
    canvas = np.full((*frame.canvas, 3), 255, np.uint8)
    canvas[top : top + height, left : left + width] = image
    return canvas


def on_canvas_in_graph(image: "tf.Tensor", frame: Frame) -> "tf.Tensor":
    """As `on_canvas`, for tensors."""
    import tensorflow as tf

    top, left, height, width = frame.box
    below, right = frame.canvas[0] - top - height, frame.canvas[1] - left - width
    return tf.pad(image, [[top, below], [left, right], [0, 0]], constant_values=255)
