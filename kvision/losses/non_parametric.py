"""NPID's losses: every image is a class of its own, whose weights are the feature that a memory bank holds of it."""

import math

from keras import ops

from kvision import checks

__all__ = ["noise_contrastive", "non_parametric_softmax"]


def non_parametric_softmax(positive, similarity, *, temperature: float = 0.07):
    """Cross entropy of the softmax over all N images (Wu et al. 2018, arXiv 1805.01978, eq. 2 and 3).

    positive: (B,) cosine to the image's own row of the bank; similarity: (B, N) to all rows, its own among them.
    Returns (B,) float32 per-example loss >= 0. Trivial value: ln N. Raises UserError if temperature <= 0.
    """
    checks.positive({"temperature": temperature})
    similarity = ops.cast(similarity, "float32") / temperature
    return ops.logsumexp(similarity, axis=-1) - ops.cast(positive, "float32") / temperature


def noise_contrastive(positive, noise, *, log_partition, count: int, temperature: float = 0.07):
    """Noise-contrastive estimation of that softmax (Wu et al. 2018, arXiv 1805.01978, eq. 4 to 7).

    positive: (B,) cosine to the own row; noise: (B, m) to rows that are drawn uniformly. log_partition: scalar, ln Z,
    Z the estimated sum of exp(cosine / temperature) over all rows. count: N, of rows.
    Returns (B,) float32: -ln h(own) - sum over the noise of ln(1 - h), h = P / (P + m / N), in log space: P of 1e-6
    would underflow half precision. Trivial value, all P = 1 / N: ln(1 + m) + m ln(1 + 1 / m).
    Raises UserError if temperature <= 0 or count < 1.
    """
    checks.positive({"temperature": temperature})
    if count < 1:
        raise checks.error("count", expected="a count of at least 1", received=count)
    shift = math.log(noise.shape[-1] / count) + ops.cast(log_partition, "float32")
    odds, noise_odds = (ops.cast(x, "float32") / temperature - shift for x in (positive, noise))  # ln(P / (m / N))
    return ops.softplus(-odds) + ops.sum(ops.softplus(noise_odds), axis=-1)
