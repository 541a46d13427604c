"""The first picture of a file with one or more pictures, and its place on the canvas, in a TensorFlow graph."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["Frame", "on_canvas"]


class Frame(NamedTuple):
    """The first picture of a GIF or WebP, cut out of the file.

    Attributes:
        still: Encoded bytes that contain only this picture.
        alpha: Whether these bytes have an alpha channel, a bool scalar.
        canvas: Height and width of the whole image, int64 scalars.
        box: Top, left, height and width of the picture on the canvas, int64 scalars.
        around: The value, 0 to 255, of pixels that the picture does not cover.
        tiff: The EXIF data. Empty if the file has no EXIF data.
    """

    still: "tf.Tensor"
    alpha: "tf.Tensor"
    canvas: "tuple[tf.Tensor, tf.Tensor]"
    box: "tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]"
    around: "tf.Tensor"
    tiff: "tf.Tensor"

    @property
    def fits(self) -> "tf.Tensor":
        """Returns whether the box is inside the canvas."""
        top, left, height, width = self.box
        return (top + height <= self.canvas[0]) & (left + width <= self.canvas[1])


def on_canvas(image: "tf.Tensor", frame: Frame) -> "tf.Tensor":
    """Returns the canvas (H, W, 3) uint8 with the picture `image` (h, w, 3) uint8 in its box."""
    import tensorflow as tf

    top, left, height, width = frame.box
    below, right = frame.canvas[0] - top - height, frame.canvas[1] - left - width
    return tf.pad(image, [[top, below], [left, right], [0, 0]], constant_values=frame.around)
