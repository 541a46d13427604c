"""How embeddings lie on the sphere: together where they should, apart where they can, or collapsed."""

import math

import numpy as np
from keras import ops

from kvision import checks
from kvision.selfsup.inputs import feature_rows

__all__ = ["alignment", "spread", "uniformity"]

_ROWS = 1024  # a block of 1,024 x 1,024 pairs at a time


def alignment(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared distance of the unit rows of two views (Wang & Isola 2020, arXiv 2005.10242, section 4.1,
    L_align with alpha = 2).

    a, b: (N, D) float; row i of a and row i of b are views of one image; need not be normalized. In [0, 4]: 0 where
    views agree, 2 where they have nothing to do with each other. Collapsed embeddings are aligned perfectly: read it
    beside `uniformity`.
    """
    a = feature_rows("a", a)
    b = feature_rows("b", b, a.shape[1])
    if len(a) != len(b):
        raise checks.error("b", expected=f"{len(a)} rows, one a row of a", received=len(b))
    return float(((_unit(a) - _unit(b)) ** 2).sum(axis=1).mean())


def uniformity(z: np.ndarray, t: float = 2.0) -> float:
    """Log of the mean of exp(-t ||x - y||^2) over all pairs of different unit rows (Wang & Isola 2020, section 4.1,
    L_uniform, as their code has it).

    z: (N, D) float, N at least 2; need not be normalized. In [-4 t, 0]: 0 where all have collapsed to one point, about
    -2 t where many dimensions are filled evenly. Takes N^2 time and flat memory.
    """
    z = feature_rows("z", z)
    if len(z) < 2:
        raise checks.error("z", expected="at least 2 rows", received=len(z))
    if not t > 0:
        raise checks.error("t", expected="a number above 0", received=t)
    unit, total = _unit(z).astype("float32"), 0.0
    blocks = [unit[i : i + _ROWS] for i in range(0, len(unit), _ROWS)]
    squares = [block.any(axis=1).astype("float32") for block in blocks]
    for i, one in enumerate(blocks):
        for j in range(i, len(blocks)):
            # ||x - y||^2, where the square of a row is 1, or 0 for a row of zeros
            apart = squares[i][:, None] + squares[j] - 2 * ops.matmul(one, blocks[j].T)
            near = ops.exp(-t * apart)
            # a row beside itself is no pair; blocks beside another are met once, and their pairs count twice
            total += 2 * float(ops.sum(near)) if i < j else float(ops.sum(near * (1 - ops.eye(len(one)))))
    return math.log(max(total, np.finfo("float64").tiny) / (len(z) * (len(z) - 1)))


def spread(z: np.ndarray) -> float:
    """Mean over dimensions of the standard deviation of the unit rows: the log `embedding_std` of `training.Objective`.

    z: (N, D) float; need not be normalized. In [0, 1 / sqrt(D)]: 1 / sqrt(D) where they are spread evenly around the
    origin, 0 where they have collapsed.
    """
    return float(_unit(feature_rows("z", z)).std(axis=0).mean())


def _unit(z: np.ndarray) -> np.ndarray:
    z = z.astype("float64")
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
