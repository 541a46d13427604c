"""Maps of a coarse grid woven into a finer one."""

from collections.abc import Sequence

from keras import ops

from kvision.ops.sizes import sizes

__all__ = ["interleave"]


def interleave(maps: Sequence[Sequence]):
    """maps[i][j] (B, h, w, C), for i < a and j < b -> (B, a h, b w, C), in which row a y + i and column b x + j is
    maps[i][j]'s row y and column x. Sizes may be unknown; four axes at most, as TFLite's kernels like them.
    """
    rows = []
    for row in maps:
        batch, h, w, channels = sizes(row[0])
        rows.append(ops.reshape(ops.concatenate(list(row), axis=-1), (batch, h, w * len(row) * channels)))
    columns = len(maps[0])
    return ops.reshape(ops.concatenate(rows, axis=-1), (batch, h * len(maps), w * columns, channels))
