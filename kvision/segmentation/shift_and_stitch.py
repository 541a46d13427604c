"""A dense map from a network of stride S: it sees the image shifted by each of S x S offsets."""

import keras
import numpy as np

from kvision import checks
from kvision.segmentation.windows import WindowGrid

__all__ = ["shift_and_stitch"]


def shift_and_stitch(
    convolutional: keras.Model, image: np.ndarray, grid: WindowGrid, *, batch_size: int = 16
) -> np.ndarray:
    """The scores of every window, at stride 1: (H, W, C) -> (H - h + 1, W - w + 1, K), for windows of h x w.

    Long, Shelhamer & Darrell 2015 (arXiv 1411.4038, section 3.2; they preferred learned upsampling). Exact where the
    network is (`equivalence_report`). It costs stride^2 passes: at stride 32 rather take `to_output_stride`.
    batch_size: shifted images in a call; all have the image's size. Raises UserError for an image that holds no window,
    or has other channels.
    """
    image = np.asarray(image)
    channels = convolutional.input_shape[-1]
    if image.ndim != 3 or image.shape[2] != channels:
        raise checks.error("image", expected=f"(H, W, {channels})", received=image.shape)
    height, width = image.shape[:2]
    if height < grid.window[0] or width < grid.window[1]:
        raise checks.error("image", expected=f"at least a window, {grid.window}", received=image.shape)
    shifts = [(y, x) for y in range(grid.stride[0]) for x in range(grid.stride[1])]
    rows, columns = height - grid.window[0] + 1, width - grid.window[1] + 1
    dense = np.empty((rows, columns, convolutional.output_shape[-1]), "float32")
    for first in range(0, len(shifts), batch_size):
        chosen = shifts[first : first + batch_size]
        shifted = np.zeros((min(batch_size, len(shifts)), *image.shape), image.dtype)
        for i, (y, x) in enumerate(chosen):
            shifted[i, : height - y, : width - x] = image[y:, x:]  # cells that see what is missing are left out below
        scores = np.asarray(convolutional.predict_on_batch(shifted))
        for (y, x), score in zip(chosen, scores, strict=False):
            place = dense[y :: grid.stride[0], x :: grid.stride[1]]
            place[:] = score[: place.shape[0], : place.shape[1]]
    return dense
