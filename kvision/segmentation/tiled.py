"""Predicts the labels of an image that is too large for one pass."""

import keras
import numpy as np

from kvision import checks
from kvision.progress import Bar

__all__ = ["tiled"]

# Twice the coarsest stride, 32. Feature maps of a tile then have odd sides only where the maps of the whole image do.
_GRID = 64


def tiled(
    model: keras.Model, image: np.ndarray, *, tile: int = 512, overlap: int = 128, progress: bool = True
) -> np.ndarray:
    """Predicts the label of each pixel of a large image, tile by tile.

    Only the features of one tile are in memory at a time. If the sides of the image are not multiples of 64, the image
    is padded by reflection. The labels equal the labels of one pass over the padded image if two conditions hold.
    First, `overlap` is at least half of the receptive field. Second, no layer summarizes the whole image, as
    squeeze-and-excitation, attention and group normalization do. Otherwise labels may differ along the borders of
    tiles.

    Args:
        model: A model from images `(batch, height, width, channels)` of any size to logits or probabilities
            `(batch, height, width, classes)`. At most 255 classes.
        image: `(height, width, channels)`, an array or an object that is sliced like an array, such as `numpy.memmap`.
        tile: Height and width in pixels of the part that the model gets at once, a multiple of 64. Larger tiles need
            more memory and waste fewer pixels in overlaps.
        overlap: Width of the border on each side of a tile in pixels, a multiple of 64. The labels in this border are
            discarded.
        progress: Whether to show a progress bar.

    Returns:
        `(height, width)` uint8 labels.

    Raises:
        UserError: If the shape of the image is wrong, if the model has more than 255 classes, or if the sizes of tiles
            do not fit.

    Example:
        >>> network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, padding="same")])
        >>> photograph = np.full((100, 180, 3), 90, "uint8")
        >>> kv.segmentation.tiled(network, photograph, tile=128, overlap=0, progress=False).shape
        (100, 180)
    """
    if len(np.shape(image)) != 3 or np.shape(image)[2] != model.input_shape[-1]:
        expected = f"the shape (height, width, {model.input_shape[-1]}), as the model takes it"
        raise checks.UserError("image", expected=expected, received=np.shape(image))
    if model.output_shape[-1] > 255:
        expected = "at most 255 classes, since labels have 8 bits"
        raise checks.UserError("model", expected=expected, received=model.output_shape[-1])
    height, width = np.shape(image)[:2]
    good = all(isinstance(pixels, int) and pixels % _GRID == 0 for pixels in (tile, overlap))
    if not good or overlap < 0 or tile <= 2 * overlap:
        raise checks.UserError(
            "tile, overlap",
            expected=f"multiples of {_GRID}, with `tile` larger than twice `overlap`",
            received=(tile, overlap),
        )
    found = np.empty((height, width), "uint8")
    places = [(rows, columns) for rows in _parts(height, tile, overlap) for columns in _parts(width, tile, overlap)]
    for (top, first, last, bottom), (left, begin, end, right) in Bar(places, "tiles", disable=not progress):
        part = np.asarray(image[top:bottom, left:right])
        part = np.pad(part, [(0, -(bottom - top) % _GRID), (0, -(right - left) % _GRID), (0, 0)], mode="symmetric")
        logits = model.predict_on_batch(part[None].astype("float32"))
        found[first:last, begin:end] = logits[0, first - top : last - top, begin - left : end - left].argmax(-1)
    return found


def _parts(side: int, tile: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Returns for each tile along one axis: its start, the start and the end of the labels to keep, and its end."""
    step = tile - 2 * overlap
    starts = [0]
    while starts[-1] + tile < side:
        starts.append(starts[-1] + step)
    ends = [min(start + tile, side) for start in starts]
    kept = [0, *(start + overlap for start in starts[1:]), side]
    return list(zip(starts, kept[:-1], kept[1:], ends, strict=True))
