"""The positions of overlapping windows that cover an image."""

import numpy as np

__all__ = ["places", "starts"]


def starts(side: int, window: int, stride: int) -> np.ndarray:
    """Returns where the windows along one side of an image start.

    Args:
        side: Length of the side in pixels.
        window: Length of a window in pixels, at most `side`.
        stride: Distance between neighboring windows in pixels. If the last window does not end at the border of the
            image, one more window is added at the border.

    Returns:
        The first pixel of each window `(n,)`, int.
    """
    found = np.arange(0, side - window + 1, stride)
    return found if found[-1] == side - window else np.append(found, side - window)


def places(size: tuple[int, int], tile: int, overlap: int) -> np.ndarray:
    """Divides an image into overlapping square tiles.

    Args:
        size: Height and width of the image in pixels. A tile is at most as large as the image.
        tile: Height and width of a tile in pixels.
        overlap: Number of pixels that neighboring tiles share at least, less than `tile`.

    Returns:
        `(n, 4)` int: ymin, xmin, ymax and xmax of each tile, half-open. Every object with sides of at most `overlap`
        pixels is whole in at least one tile.
    """
    windows = [min(tile, side) for side in size]
    corners = (starts(side, window, tile - overlap) for side, window in zip(size, windows, strict=True))
    first = np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, 2)
    return np.concatenate([first, first + windows], 1)
