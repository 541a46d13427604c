"""Measures of how embeddings lie on the unit sphere."""

import math

import numpy as np
from keras import ops

from kvision import checks
from kvision.selfsup.inputs import feature_rows

__all__ = ["alignment", "spread", "uniformity"]

_ROWS = 1024  # Pairs are computed in blocks of 1,024 x 1,024.


def alignment(a: np.ndarray, b: np.ndarray) -> float:
    """Measures how close the embeddings of two views of an image are.

    The result is the mean squared distance between the rows of `a` and `b`, after scaling the rows to length 1.
    Collapsed embeddings have a perfect alignment, so always look at `uniformity` too.

    Args:
        a: Embeddings `(n, features)`; they need not be normalized.
        b: Embeddings `(n, features)`. Row i of `a` and row i of `b` belong to views of the same image.

    Returns:
        A number in [0, 4]: 0 if the views agree, about 2 if they are unrelated.

    Raises:
        UserError: If the shapes differ, or a value is not finite.

    Example:
        >>> kv.selfsup.alignment(np.eye(3), 2 * np.eye(3))
        0.0

    References:
        Wang & Isola 2020, arXiv 2005.10242, section 4.1, L_align with alpha = 2.
    """
    a = feature_rows("a", a)
    b = feature_rows("b", b, a.shape[1])
    if len(a) != len(b):
        raise checks.UserError("b", expected=f"{len(a)} rows, as many as `a`", received=len(b))
    return float(((_unit(a) - _unit(b)) ** 2).sum(axis=1).mean())


def uniformity(z: np.ndarray, t: float = 2.0) -> float:
    """Measures how evenly embeddings are spread over the unit sphere.

    The result is the logarithm of the mean of exp(-t * squared distance) over all pairs of different rows, after
    scaling the rows to length 1. The time grows with n^2, but the memory does not.

    Args:
        z: Embeddings `(n, features)`, at least two rows; they need not be normalized.
        t: Scale of the distances, a positive number. The default is from the paper.

    Returns:
        A number in [-4 * t, 0]: 0 if all embeddings are one point, about -2 * t if they fill many dimensions evenly.

    Raises:
        UserError: If there are fewer than two rows, a value is not finite, or `t` is not positive.

    Example:
        >>> round(kv.selfsup.uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])), 3)
        -8.0

    References:
        Wang & Isola 2020, arXiv 2005.10242, section 4.1, L_uniform, as in the published code.
    """
    z = feature_rows("z", z)
    if len(z) < 2:
        raise checks.UserError("z", expected="at least 2 rows", received=len(z))
    checks.positive({"t": t})
    unit, total = _unit(z).astype("float32"), 0.0
    blocks = [unit[i : i + _ROWS] for i in range(0, len(unit), _ROWS)]
    squares = [block.any(axis=1).astype("float32") for block in blocks]
    for i, one in enumerate(blocks):
        for j in range(i, len(blocks)):
            # This is the squared distance between the rows. The squared length of a row is 1, or 0 for a row of zeros.
            apart = squares[i][:, None] + squares[j] - 2 * ops.matmul(one, blocks[j].T)
            near = ops.exp(-t * apart)
            # A row and itself do not form a pair. Two different blocks meet only once in this loop, so their pairs
            # count twice.
            total += 2 * float(ops.sum(near)) if i < j else float(ops.sum(near * (1 - ops.eye(len(one)))))
    return math.log(max(total, np.finfo("float64").tiny) / (len(z) * (len(z) - 1)))


def spread(z: np.ndarray) -> float:
    """Measures the spread of embeddings, in the same way as the log `embedding_std` of `kv.training.Objective`.

    The rows are scaled to length 1. The result is the standard deviation of each dimension, averaged over all
    dimensions.

    Args:
        z: Embeddings `(n, features)`; they need not be normalized.

    Returns:
        A number in [0, 1 / sqrt(features)]: 0 if all embeddings are one point, and 1 / sqrt(features) if they are
        spread evenly around the origin.

    Raises:
        UserError: If a value is not finite, or `z` is not a table of numbers.

    Example:
        >>> kv.selfsup.spread(np.ones((5, 3)))
        0.0
    """
    return float(_unit(feature_rows("z", z)).std(axis=0).mean())


def _unit(z: np.ndarray) -> np.ndarray:
    z = z.astype("float64")
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
