"""Edges between regions: edge pixels of label maps, and averaging that stops at edges."""

from keras import ops

from kvision import checks

__all__ = ["NEIGHBORS", "diffuse", "edge_targets"]

NEIGHBORS = (4, 8)
_OUTSIDE = -1  # the label beyond the border of the image
_SIDES = ((0, 1), (1, 0), (1, 2), (2, 1))
_CORNERS = ((0, 0), (0, 2), (2, 0), (2, 2))
_LEAST = 1e-4  # conductance of an edge pixel that is certain; 0 / 0 would be NaN inside thick edges


def edge_targets(labels, *, neighbors: int = 4, thickness: int = 1, ignore: int | None = 255):
    """Finds the pixels at the boundaries between labels.

    A pixel is an edge if one of its neighbors has a different label. Both sides of a boundary are edges, so that the
    edge is two pixels wide. Each further step of `thickness` adds the neighbors of these pixels. An ignored pixel is
    neither an edge nor different from its neighbors. Its true label is unknown, so the pixels within `thickness` of an
    ignored pixel that are not edges are ignored too. The border of the image is not an edge.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or class numbers of at least 0.
        neighbors: 4 for the neighbors at the sides of a pixel, 8 for the neighbors at its corners too.
        thickness: Width of the edges on each side of a boundary, in pixels. At least 1.
        ignore: Label of the pixels that do not count. If None, all pixels count.

    Returns:
        `(batch, height, width)` int32: 1 for an edge, 0 for other pixels, 255 for pixels that do not count.

    Raises:
        UserError: If `neighbors` is neither 4 nor 8, or `thickness` is below 1.

    Example:
        >>> labels = np.array([[[0, 0, 0, 1, 1, 1, 255]]])
        >>> kv.ops.edge_targets(labels)[0, 0].numpy().tolist()
        [0, 0, 1, 1, 0, 255, 255]

    References:
        Takikawa et al. 2019, arXiv 1907.05740 (GSCNN), which finds edges in the masks in the same way.
    """
    if neighbors not in NEIGHBORS:
        raise checks.UserError("neighbors", expected="4 or 8", received=neighbors)
    if not isinstance(thickness, int) or isinstance(thickness, bool) or thickness < 1:
        raise checks.UserError("thickness", expected="an integer of at least 1", received=thickness)
    places = _SIDES + (_CORNERS if neighbors == 8 else ())
    labels = ops.cast(labels, "int32")
    unknown = ops.zeros_like(labels) > 0 if ignore is None else labels == ignore
    labels = ops.where(unknown, _OUTSIDE, labels)
    edges = ops.zeros_like(labels) > 0
    for other in _shifted(labels, places, _OUTSIDE):
        edges = ops.logical_or(edges, ops.logical_and(other != labels, other != _OUTSIDE))
    edges = ops.logical_and(edges, labels != _OUTSIDE)
    near = unknown
    for step in range(thickness):
        near = _grown(near, places)
        edges = edges if step == 0 else ops.logical_and(_grown(edges, places), ops.logical_not(unknown))
    rest = ops.where(near, 255, 0)
    return ops.cast(ops.where(edges, 1, rest), "int32")


def diffuse(values, edges, *, steps: int):
    """Averages values inside regions and keeps the edges between the regions sharp.

    Each step replaces a value by the mean of its window of 3 x 3 pixels, weighted by 1 minus the edge probability of
    each pixel. So values spread inside a region, an edge pixel takes the values of the region that it touches, and
    nothing passes through an edge. With edges of 0 each step is a plain mean filter. Pixels outside of the image do not
    count. In a window where all pixels are certain edges, all pixels count alike.

    This is an anisotropic diffusion with a given conductance. A step is the normalized convolution of Knutsson and
    Westin.

    Args:
        values: `(batch, height, width, channels)`, such as class probabilities. If they sum to 1, the result does too.
        edges: Edge probabilities `(batch, height, width, 1)` in [0, 1].
        steps: Number of steps. 0 returns the values unchanged.

    Returns:
        `(batch, height, width, channels)`.

    Raises:
        UserError: If `steps` is negative.

    Example:
        >>> values = np.array([0.2, 0.0, 0.4, 0.6, 1.0, 0.8], "float32").reshape((1, 1, 6, 1))
        >>> edges = np.array([0, 0, 1, 1, 0, 0], "float32").reshape((1, 1, 6, 1))
        >>> (kv.ops.diffuse(values, edges, steps=10).numpy() * 10).round().astype(int).ravel().tolist()
        [1, 1, 1, 9, 9, 9]

    References:
        Perona and Malik 1990, Scale-space and edge detection using anisotropic diffusion. Knutsson and Westin 1993,
        Normalized and differential convolution.
    """
    if steps < 0:
        raise checks.UserError("steps", expected="a number from 0", received=steps)
    conductance = ops.maximum(1 - edges, _LEAST)
    total = _mean(conductance)
    for _ in range(steps):
        values = _mean(values * conductance) / total
    return values


def _mean(x):
    return ops.average_pool(x, 3, strides=1, padding="same", data_format="channels_last")


def _shifted(maps, places, outside):
    """Yields the maps (B, H, W) moved by a pixel in each direction. `outside` enters at the border."""
    padded = ops.pad(maps, [[0, 0], [1, 1], [1, 1]], constant_values=outside)
    for row, column in places:
        yield padded[:, row : row - 2 or None, column : column - 2 or None]


def _grown(mask, places):
    """Returns the mask (B, H, W) with the neighbors of its pixels."""
    for other in _shifted(ops.cast(mask, "int32"), places, 0):
        mask = ops.logical_or(mask, other > 0)
    return mask
