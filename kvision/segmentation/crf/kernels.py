"""The exact Gaussian filter of a dense CRF, and the separable filter of positions."""

import numpy as np
from scipy import sparse

from kvision import checks

__all__ = ["LARGEST_EXACT", "ExactFilter", "SpatialFilter"]

LARGEST_EXACT = 4096
"""Largest number of points of the exact filter, which needs a matrix of N x N numbers."""

_REACH = 4  # standard deviations; the rest of a Gaussian weighs 6e-5


class ExactFilter:
    """A Gaussian filter with all pairs of points, normalized symmetrically by the square roots of the row sums.

    Args:
        features: `(N, d)` positions of the points, divided by the standard deviation of each dimension. At most 4096
            points.

    Attributes:
        diagonal: `(N,)` float32, the weight of each point in its own result before it is removed.

    Raises:
        UserError: If there are more than 4096 points.

    Example:
        >>> round(float(ExactFilter(np.array([[0.0], [1.0]]))(np.array([[1.0], [0.0]], "float32"))[1, 0]), 3)
        0.378

    References:
        Krähenbühl and Koltun 2011, arXiv 1210.5644, equation 3.
    """

    def __init__(self, features: np.ndarray):
        features = np.asarray(features, "float64")
        if len(features) > LARGEST_EXACT:
            raise checks.UserError("features", expected=f"at most {LARGEST_EXACT} points", received=len(features))
        squares = np.square(features).sum(axis=1)
        apart = np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0)
        kernel = np.exp(-apart / 2)
        np.fill_diagonal(kernel, 1)
        root = 1 / np.sqrt(kernel.sum(axis=1))
        kernel *= root[:, None] * root
        self.diagonal = np.diag(kernel).astype("float32")
        np.fill_diagonal(kernel, 0)
        self._kernel = kernel.astype("float32")

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Returns the filtered values `(N, channels)`, without the part of each point in its own result."""
        return self._kernel @ values


class SpatialFilter:
    """A Gaussian filter of the pixels' positions, first along columns and then along rows.

    Weights beyond four standard deviations are left out. The normalization is symmetric, as in `ExactFilter`.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        deviation: Standard deviation in pixels.

    Attributes:
        diagonal: `(height * width,)` float32, the weight of each pixel in its own result before it is removed.

    Example:
        >>> SpatialFilter(4, 5, 1.0)(np.ones((20, 3), "float32")).shape
        (20, 3)
    """

    def __init__(self, height: int, width: int, deviation: float):
        self._rows, self._columns = _banded(height, deviation), _banded(width, deviation)
        self.diagonal = np.outer(self._rows.diagonal(), self._columns.diagonal()).ravel()

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Returns the filtered values `(height * width, channels)`, without each pixel's part in its own result."""
        height, width, channels = self._rows.shape[0], self._columns.shape[0], values.shape[1]
        down = self._rows @ np.ascontiguousarray(values).reshape(height, width * channels)
        turned = np.ascontiguousarray(down.reshape(height, width, channels).swapaxes(0, 1))
        across = (self._columns @ turned.reshape(width, height * channels)).reshape(width, height, channels)
        found = np.ascontiguousarray(across.swapaxes(0, 1)).reshape(values.shape)
        found -= self.diagonal[:, None] * values
        return found


def _banded(side: int, deviation: float) -> sparse.csr_matrix:
    """Returns the normalized weights along one axis, `(side, side)` float32."""
    reach = min(side - 1, int(np.ceil(_REACH * deviation)))
    offsets = np.arange(-reach, reach + 1)
    bands = np.exp(-0.5 * np.square(offsets / deviation))
    kernel = sparse.diags([np.full(side - abs(o), v) for o, v in zip(offsets, bands, strict=True)], offsets)
    root = sparse.diags([1 / np.sqrt(np.asarray(kernel.sum(axis=1)).ravel())], [0])
    return (root @ kernel @ root).tocsr().astype("float32")
