"""Images that are too large for one pass, tile by tile."""

import keras
import numpy as np

from kvision import checks
from kvision.progress import Bar

__all__ = ["tiled"]

_GRID = 64  # twice the coarsest stride: a tile's maps are odd where those of the whole image are


def tiled(
    model: keras.Model, image: np.ndarray, *, tile: int = 512, overlap: int = 128, progress: bool = True
) -> np.ndarray:
    """image (H, W, 3) -> labels (H, W) uint8, as `predict`, without ever holding more than a tile's features.

    image: an array, or what is sliced like one, such as `numpy.memmap`. tile: side of what the network sees at once;
    overlap: of it, on each side, what is thrown away; both multiples of 64, so that tiles lie on the network's own
    grid; an image whose sides 64 does not divide is continued by its reflection for the network. Labels are those of
    that whole image where `overlap` is as large as half the receptive field and the network has no layer that looks at
    all of the image (squeeze-and-excitation, attention, group normalization); else tiles differ along their seams.
    """
    if len(np.shape(image)) != 3 or np.shape(image)[2] != model.input_shape[-1]:
        expected = f"(H, W, {model.input_shape[-1]}), as the model has it"
        raise checks.error("image", expected=expected, received=np.shape(image))
    if model.output_shape[-1] > 255:
        raise checks.error(
            "model", expected="at most 255 classes: labels are of 8 bits", received=model.output_shape[-1]
        )
    height, width = np.shape(image)[:2]
    good = all(isinstance(pixels, int) and pixels % _GRID == 0 for pixels in (tile, overlap))
    if not good or overlap < 0 or tile <= 2 * overlap:
        raise checks.error(
            "tile, overlap", expected=f"multiples of {_GRID}, tile more than twice overlap", received=(tile, overlap)
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
    """Of one axis: where each tile begins, where what is kept of it begins and ends, where it ends."""
    step = tile - 2 * overlap
    starts = [0]
    while starts[-1] + tile < side:
        starts.append(starts[-1] + step)
    ends = [min(start + tile, side) for start in starts]
    kept = [0, *(start + overlap for start in starts[1:]), side]
    return list(zip(starts, kept[:-1], kept[1:], ends, strict=True))
