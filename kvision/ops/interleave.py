"""Interleaves maps of a coarse grid into one map of a finer grid."""

from collections.abc import Sequence

from keras import ops

from kvision.ops.sizes import sizes

__all__ = ["interleave"]


def interleave(maps: Sequence[Sequence]):
    """Interleaves maps: pixel (y, x) of `maps[i][j]` becomes pixel (a y + i, b x + j) of the result.

    Sizes may be unknown. No tensor has more than four axes, because TFLite's kernels do not allow more.

    Args:
        maps: Sequence of a sequences. Each of these has b maps of shape `(batch, h, w, channels)`.

    Returns:
        `(batch, a h, b w, channels)`.

    Example:
        >>> zeros, ones = np.zeros((1, 1, 2, 1)), np.ones((1, 1, 2, 1))
        >>> np.ravel(kv.ops.interleave([[zeros, ones]])).tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    rows = []
    for row in maps:
        batch, h, w, channels = sizes(row[0])
        rows.append(ops.reshape(ops.concatenate(list(row), axis=-1), (batch, h, w * len(row) * channels)))
    columns = len(maps[0])
    return ops.reshape(ops.concatenate(rows, axis=-1), (batch, h * len(maps), w * columns, channels))
