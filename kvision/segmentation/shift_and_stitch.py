"""Computes scores at stride 1 with a network of a coarser stride, which runs on shifted copies of the image."""

import keras
import numpy as np

from kvision import checks
from kvision.segmentation.windows import WindowGrid

__all__ = ["shift_and_stitch"]


def shift_and_stitch(
    convolutional: keras.Model, image: np.ndarray, grid: WindowGrid, *, batch_size: int = 16
) -> np.ndarray:
    """Computes the scores of every window of an image, at stride 1.

    The network runs on `rows * columns` shifted copies of the image, where `(rows, columns)` is the stride of the
    network. For a stride of 32, `to_output_stride` is faster. The scores are exact if one pass of the network is exact.
    `equivalence_report` measures this.

    Args:
        convolutional: A model of `convolutionalize`.
        image: `(height, width, channels)`, at least as large as a window.
        grid: The grid of the model, which `window_grid` returns.
        batch_size: Number of shifted images in a call of the model.

    Returns:
        `(height - h + 1, width - w + 1, classes)` float32, for windows of `h` x `w` pixels.

    Raises:
        UserError: If the image is smaller than a window or has a wrong number of channels.

    Example:
        >>> x = keras.layers.MaxPooling2D(2)(image := keras.Input((16, 16, 3)))
        >>> classifier = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
        >>> convolutional = kv.segmentation.convolutionalize(classifier)
        >>> grid = kv.segmentation.window_grid(classifier, convolutional)
        >>> kv.segmentation.shift_and_stitch(convolutional, np.zeros((20, 31, 3)), grid).shape
        (5, 16, 5)

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 3.2.
    """
    image = np.asarray(image)
    channels, window = convolutional.input_shape[-1], grid.window
    if image.ndim != 3 or image.shape[2] != channels or any(a < b for a, b in zip(image.shape, window, strict=False)):
        expected = f"the shape (height, width, {channels}), at least {window[0]} x {window[1]}"
        raise checks.UserError("image", expected=expected, received=image.shape)
    height, width = image.shape[:2]
    shifts = [(y, x) for y in range(grid.stride[0]) for x in range(grid.stride[1])]
    rows, columns = height - window[0] + 1, width - window[1] + 1
    dense = np.empty((rows, columns, convolutional.output_shape[-1]), "float32")
    for first in range(0, len(shifts), batch_size):
        chosen = shifts[first : first + batch_size]
        shifted = np.zeros((min(batch_size, len(shifts)), *image.shape), image.dtype)
        for i, (y, x) in enumerate(chosen):
            # Zeros fill the rest. Cells that read these zeros are left out below.
            shifted[i, : height - y, : width - x] = image[y:, x:]
        scores = np.asarray(convolutional.predict_on_batch(shifted))
        for (y, x), score in zip(chosen, scores, strict=False):
            place = dense[y :: grid.stride[0], x :: grid.stride[1]]
            place[:] = score[: place.shape[0], : place.shape[1]]
    return dense
