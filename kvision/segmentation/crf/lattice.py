"""A Gaussian filter for features of a few dimensions, on the permutohedral lattice, with sparse matrices."""

import numpy as np
from scipy import sparse

from kvision import checks

__all__ = ["LatticeFilter"]

# Variance of the two interpolations (1/6) and of the blur (1/2), in units of the squared edge of the lattice.
_VARIANCE = 2 / 3


class LatticeFilter:
    """Approximates a normalized Gaussian filter in time proportional to the number of points.

    The filter is `S B S'`, where `S'` spreads each point to the d + 1 corners of its simplex, `B` blurs along the
    d + 1 directions of the lattice, and `S` reads the result. A blur in one order of the directions is not symmetric,
    because only the corners of occupied simplices are stored. So `B` is the mean of both orders, which also makes the
    result more accurate. The matrices depend on the features only. They are built once for all calls.

    Args:
        features: `(N, d)` positions of the points, divided by the standard deviation of each dimension.

    Attributes:
        diagonal: `(N,)` float32, the weight of each point in its own result. It is exact for this approximation.

    Raises:
        UserError: If the features span too many cells of the lattice.

    Example:
        >>> points = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]])
        >>> weights = LatticeFilter(points)(np.ones((3, 1), "float32"))
        >>> bool(weights[2, 0] < 0.01)  # the third point has no neighbor, and its own weight is left out
        True

    References:
        Adams, Baek and Davis 2010, "Fast high-dimensional filtering using the permutohedral lattice", section 3.
        Krähenbühl and Koltun 2011, arXiv 1210.5644, section 3.2 (the filter in mean field).
    """

    def __init__(self, features: np.ndarray):
        corner, order, weights = _simplices(np.asarray(features, "float32"))
        spans = np.ptp(corner, axis=0)[:-1] + 6.0 * corner.shape[1] + 1
        if np.prod(spans) >= 2**62:
            raise checks.UserError(
                "features",
                problem="span too many cells",
                expected="larger distances or colors in the parameters",
                received=spans.tolist(),
            )
        keys, steps = _keys(corner, order)
        count, corners = keys.shape
        vertices, places = np.unique(keys, return_inverse=True)
        places = places.reshape(keys.shape).astype("int32")
        above, below = _neighbors(vertices, steps)
        starts = np.arange(0, places.size + 1, corners, dtype="int32")
        self._slice = sparse.csr_matrix((weights.ravel(), places.ravel(), starts), (count, len(vertices)))
        self._splat = self._slice.T.tocsr()
        self._blurs = [_blur(up, down) for up, down in zip(above, below, strict=True)]
        sums = self._filtered(np.ones((count, 1), "float32"))[:, 0]
        self.diagonal = _diagonal(places, order, weights, above, below) / sums
        # Scaling the two interpolations divides by the square roots of the row sums on both sides.
        root = 1 / np.sqrt(sums)
        self._slice.data *= np.repeat(root, corners)
        self._splat = self._slice.T.tocsr()

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Filters values.

        Args:
            values: `(N, channels)` float32.

        Returns:
            `(N, channels)` float32: the filtered values, without the part of each point in its own result.
        """
        found = self._filtered(values)
        found -= self.diagonal[:, None] * values
        return found

    def _filtered(self, values: np.ndarray) -> np.ndarray:
        forward = backward = self._splat @ np.ascontiguousarray(values)
        for blur in self._blurs:
            forward = blur @ forward
        for blur in self._blurs[::-1]:
            backward = blur @ backward
        forward = forward + backward
        forward *= 0.5
        return self._slice @ forward


def _simplices(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the simplex of each point.

    Returns:
        The first corner `(N, d + 1)` int32, whose coordinates are multiples of d + 1. The coordinates `(N, d + 1)` in
        the order of their remainders, largest first. The barycentric weights of the corners `(N, d + 1)` float32.
    """
    count, d = features.shape
    edge = d + 1
    axes = np.arange(d)
    scale = np.sqrt(_VARIANCE) * edge / np.sqrt((axes + 1) * (axes + 2))
    plane = np.zeros((d, edge), "float32")  # its rows are an orthogonal basis of the plane where coordinates sum to 0
    for axis in axes:
        plane[axis, : axis + 1] = scale[axis]
        plane[axis, axis + 1] = -(axis + 1) * scale[axis]
    elevated = features @ plane
    nearest = np.rint(elevated / edge)
    order = np.argsort(nearest * edge - elevated, axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(edge)[None], axis=1)
    # The rounded coordinates must sum to 0. If not, the coordinates with the largest rounding errors are changed.
    rank += nearest.sum(axis=1, dtype="int64")[:, None]
    turn = (rank < 0).astype("int64") - (rank > d)
    nearest += turn
    rank += turn * edge
    order = np.empty_like(rank)
    np.put_along_axis(order, rank, np.broadcast_to(np.arange(edge), rank.shape), axis=1)
    rest = np.take_along_axis(elevated / edge - nearest, order, axis=1)
    weights = np.empty((count, edge), "float32")
    weights[:, 1:] = (rest[:, :-1] - rest[:, 1:])[:, ::-1]
    weights[:, 0] = 1 - weights[:, 1:].sum(axis=1)
    return (nearest * edge).astype("int32"), order, weights


def _keys(corner: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the corners of all simplices.

    Returns:
        An int64 key for each corner `(N, d + 1)`, and the difference of keys along each direction `(d + 1,)`.
    """
    edge = corner.shape[1]
    # The last coordinate follows from the others. The margin keeps the keys of neighbors unique.
    low, high = corner.min(axis=0)[:-1] - 3 * edge, corner.max(axis=0)[:-1] + 3 * edge
    spans = high - low + 1.0
    place = np.append(np.cumprod(np.append(1, spans[:-1])), 0).astype("int64")
    whole = place.sum()
    keys = np.empty(order.shape, "int64")
    keys[:, 0] = (corner[:, :-1] - low).astype("int64") @ place[:-1]
    for k in range(1, edge):
        keys[:, k] = keys[:, k - 1] + whole - edge * place[order[:, edge - k]]
    return keys, whole - edge * place


def _neighbors(vertices: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the neighbors above and below along each direction, `(d + 1, M + 1)` int32 each.

    A missing neighbor has the place M, and the neighbors of M are M.
    """
    count = len(vertices)
    above = np.full((len(steps), count + 1), count, "int32")
    below = above.copy()
    for step, up, down in zip(steps, above, below, strict=True):
        found = np.minimum(np.searchsorted(vertices, vertices + step), count - 1)
        lower = np.flatnonzero(vertices[found] == vertices + step)
        up[lower] = found[lower]
        down[found[lower]] = lower
    return above, below


def _blur(up: np.ndarray, down: np.ndarray) -> sparse.csr_matrix:
    """Returns the matrix of the weights 1/2, 1, 1/2 along one direction. Its scale does not matter."""
    count = len(up) - 1
    columns = np.stack([down[:-1], np.arange(count, dtype="int32"), up[:-1]], axis=1)
    known = columns < count
    starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))]).astype("int32")
    weights = np.broadcast_to(np.array([0.5, 1, 0.5], "float32"), columns.shape)
    return sparse.csr_matrix((weights[known], columns[known], starts), (count, count))


def _diagonal(
    places: np.ndarray, order: np.ndarray, weights: np.ndarray, above: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """Returns the diagonal of the filter before it is normalized, `(N,)`.

    A point reaches itself from corner a of its simplex to corner b. There are two ways, because the sum of all
    directions is 0: up along the directions between a and b, or down along all others. A way counts if the lattice
    holds all of its vertices.
    """
    edge = places.shape[1]
    code = places[:, 0].astype("int64") * edge**edge + order @ edge ** np.arange(edge)
    _, chosen, same = np.unique(code, return_index=True, return_inverse=True)  # points in one simplex share the ways
    corners, order = np.ascontiguousarray(places[chosen].T), order[chosen]
    # The step from corner k - 1 to corner k goes along the direction with height k.
    height = np.empty(order.shape, "int8")
    np.put_along_axis(height, order, np.broadcast_to(edge - np.arange(edge, dtype="int8"), order.shape), axis=1)
    height = np.ascontiguousarray(height.T)
    rows = above.shape[1]
    jumps = np.stack([below, np.broadcast_to(np.arange(rows, dtype="int32"), above.shape), above], axis=1)
    jumps = jumps.reshape(edge, 3 * rows)  # for each direction: the places below, the places themselves, those above

    def arrives(start: int, end: int, moves: np.ndarray) -> np.ndarray:
        place = corners[start]
        for jump, move in zip(jumps, moves, strict=True):
            place = jump[place + move]
        return place == corners[end]

    total = np.zeros(len(places), "float32")
    for a in range(edge):
        around = 1 + 0.5**edge * sum(arrives(a, a, np.full((edge, 1), row * rows, "int32")) for row in (0, 2))
        total += np.square(weights[:, a]) * around.astype("float32")[same]
        for b in range(a + 1, edge):
            between = ((height > a) & (height <= b)) * np.int32(rows)
            near = arrives(a, b, rows + between) + arrives(b, a, rows - between).astype("float32")
            far = arrives(a, b, between) + arrives(b, a, 2 * rows - between).astype("float32")
            way = near * np.float32(0.5 ** (b - a)) + far * np.float32(0.5 ** (edge - b + a))
            total += weights[:, a] * weights[:, b] * way[same]
    return total
