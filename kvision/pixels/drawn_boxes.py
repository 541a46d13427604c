"""Draws boxes with captions on an image."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw"]

_LONGEST = 40  # letters of a caption

Color = tuple[int, int, int]


def draw(image: np.ndarray, boxes: np.ndarray, captions: Sequence[str], colors: Sequence[Color]) -> np.ndarray:
    """Draws the outlines of boxes, each with a caption above it.

    Lines and letters grow with the image. A letter that the font does not have is drawn as an empty square.

    Args:
        image: `(height, width, 3)` uint8.
        boxes: `(n, 4)` ymin, xmin, ymax, xmax in pixels, half-open, or `(n, 5)` rotated boxes y, x, height, width,
            angle in radians. The first box is drawn last, on top.
        captions: A text for each box. At most 40 letters are drawn.
        colors: A color (R, G, B) for each box.

    Returns:
        The picture `(height, width, 3)` uint8.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    line, font = max(1, round(longest / 250)), _font(max(11.0, longest / 45))
    picture = Image.fromarray(image)
    canvas = ImageDraw.Draw(picture)
    for box, caption, color in reversed([*zip(boxes, captions, colors, strict=True)]):
        corners = _corners(np.asarray(box, "float64"))
        if len(box) == 4:  # the outline lies inside the box, so that it is seen at the border of the image
            corners = np.clip(corners - [[0, 0], [0, 1], [1, 1], [1, 0]], 0, [height - 1, width - 1])
            top, left = corners[0]
            bottom, right = np.maximum(corners[0], corners[2])
            canvas.rectangle((left, top, right, bottom), outline=color, width=line)
        else:
            corners = np.clip(corners, -longest, 2 * longest)  # Pillow cannot draw to points that are far away
            points = [(x, y) for y, x in [*corners, corners[0]]]
            canvas.line(points, fill=color, width=line, joint="curve")
        _write(canvas, caption[:_LONGEST], font, color, corners.min(0), (height, width))
    return np.asarray(picture)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns the font of matplotlib or of the system. Pillow's own font has only ASCII letters."""
    matplotlib = importlib.util.find_spec("matplotlib")
    folder = Path(matplotlib.origin).parent if matplotlib and matplotlib.origin else Path()
    for name in (folder / "mpl-data/fonts/ttf/DejaVuSans.ttf", "DejaVuSans.ttf", "arial.ttf"):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _corners(box: np.ndarray) -> np.ndarray:
    """Returns the corners `(4, 2)` of y and x. `ops.rotated_boxes` has this too, but it needs Keras."""
    if len(box) == 4:
        top, left, bottom, right = box
        return np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
    down, across = np.array([-0.5, -0.5, 0.5, 0.5]) * box[2], np.array([-0.5, 0.5, 0.5, -0.5]) * box[3]
    cos, sin = np.cos(box[4]), np.sin(box[4])
    return box[:2] + np.stack([across * sin + down * cos, across * cos - down * sin], -1)


def _write(canvas: ImageDraw.ImageDraw, text: str, font, color: Color, corner: np.ndarray, size: tuple[int, int]):
    """Writes a text on its color above the upper left corner of a box, or below it if there is no room above."""
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    y, x = corner[0] - height if corner[0] >= height else corner[0], corner[1]
    y, x = (
        round(max(0, min(start, side - length)))
        for start, side, length in zip((y, x), size, (height, width), strict=True)
    )
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=color)
    bright = np.dot(color, (0.299, 0.587, 0.114)) > 128
    canvas.text((x + 2 - left, y + 2 - top), text, font=font, fill=(0, 0, 0) if bright else (255, 255, 255))
