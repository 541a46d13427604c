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
    """Noise-contrastive estimate of the cross entropy of `non_parametric_softmax`.

    With h = P / (P + m / N), the loss is -ln h(own row) - the sum over the noise of ln(1 - h). It is computed in log
    space, since half precision has no P of 1e-6. If all P are 1 / N, the loss is ln(1 + m) + m ln(1 + 1 / m).

    Args:
        positive: `(batch,)` cosines to the image's own row of the bank.
        noise: `(batch, m)` cosines to m rows that are drawn uniformly, m at least 1.
        log_partition: Scalar ln Z, where Z estimates the sum of exp(cosine / temperature) over all rows.
        count: Number N of rows in the bank.
        temperature: Divides the cosines. Must be positive.

    Returns:
        `(batch,)` losses, float32, at least 0.

    Raises:
        kvision.UserError: If `temperature` is not positive, `count` is below 1, or `noise` has no columns.

    References:
        Wu et al. 2018, arXiv 1805.01978, equations 4 to 7.
    """
    checks.positive({"temperature": temperature})
    if count < 1:
        raise checks.error("count", expected="a count of at least 1", received=count)
    if noise.shape[-1] < 1:
        raise checks.error("noise", expected="(batch, m) cosines with m at least 1", received=tuple(noise.shape))
    shift = math.log(noise.shape[-1] / count) + ops.cast(log_partition, "float32")
    odds, noise_odds = (ops.cast(x, "float32") / temperature - shift for x in (positive, noise))  # ln(P / (m / N))
    return ops.softplus(-odds) + ops.sum(ops.softplus(noise_odds), axis=-1)
