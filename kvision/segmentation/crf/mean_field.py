"""Mean field inference of a CRF with the Potts model."""

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["SMALLEST", "mean_field"]

SMALLEST = 1e-8
"""The smallest probability that counts. It keeps the logarithm finite, and does not change float32 probabilities."""


def mean_field(
    logits: np.ndarray, kernels: Sequence[tuple[float, Callable[[np.ndarray], np.ndarray]]], iterations: int
) -> np.ndarray:
    """Approximates the marginal probabilities of the labels.

    Each iteration computes `Q = softmax(logits + sum of weight * kernel(Q))` for all pixels at once. For the Potts
    model this equals the update of the paper, because `Q` sums to 1 at each pixel.

    Args:
        logits: `(N, classes)` float32, logarithms of probabilities. Their negative is the unary energy.
        kernels: Pairs of a weight and a filter from `(N, classes)` to `(N, classes)`. The filter leaves out the part of
            each pixel in its own result.
        iterations: Number of updates.

    Returns:
        `(N, classes)` float32 probabilities.

    Example:
        >>> np.round(mean_field(np.log([[0.25, 0.75]]), [], 10), 2).tolist()
        [[0.25, 0.75]]

    References:
        Krähenbühl and Koltun 2011, arXiv 1210.5644, algorithm 1.
    """
    logits = np.asarray(logits, "float32")
    found = _softmax(logits.copy())
    kernels = [(weight, kernel) for weight, kernel in kernels if weight]
    for _ in range(iterations if kernels else 0):
        total = logits.copy()
        for weight, kernel in kernels:
            message = kernel(found)
            message *= np.float32(weight)
            total += message
        found = _softmax(total)
    return found


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Computes the softmax of each row in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores @ np.ones((scores.shape[1], 1), scores.dtype)  # faster than a sum along a short axis
    return scores
