"""The losses of NPID. Each image is a class, and the weights of the class are the image's feature in a memory bank."""

import math

from keras import ops

from kvision import checks

__all__ = ["noise_contrastive", "non_parametric_softmax"]


def non_parametric_softmax(positive, similarity, *, temperature: float = 0.07):
    """Computes the cross entropy of the softmax over all N images of the data.

    If all similarities are equal, the loss is ln N.

    Args:
        positive: `(batch,)` cosines to the image's own row of the bank.
        similarity: `(batch, N)` cosines to all rows, including the image's own row.
        temperature: Positive number that the cosines are divided by. Defaults to 0.07, the value of the paper.

    Returns:
        `(batch,)` losses, float32, at least 0.

    Raises:
        UserError: If `temperature` is not positive.

    Example:
        >>> loss = kv.losses.non_parametric_softmax(np.zeros(1), np.zeros((1, 8)))
        >>> round(float(loss[0]), 4)  # ln 8
        2.0794

    References:
        Wu et al. 2018, arXiv 1805.01978, equations 2 and 3.
    """
    checks.positive({"temperature": temperature})
    similarity = ops.cast(similarity, "float32") / temperature
    return ops.logsumexp(similarity, axis=-1) - ops.cast(positive, "float32") / temperature


def noise_contrastive(positive, noise, *, log_partition, count: int, temperature: float = 0.07):
    """Computes the noise-contrastive estimate of the cross entropy of `non_parametric_softmax`.

    h is P / (P + m / N). The loss is the sum of -ln h(own row) and of -ln(1 - h) for each noise row. The loss is
    computed in log space, because half precision cannot represent P = 1e-6. If all P are 1 / N, the loss is ln(1 + m) +
    m ln(1 + 1 / m).

    Args:
        positive: `(batch,)` cosines to the image's own row of the bank.
        noise: `(batch, m)` cosines to m rows that are drawn uniformly, m at least 1.
        log_partition: Scalar ln Z, where Z estimates the sum of exp(cosine / temperature) over all rows.
        count: Number N of rows in the bank.
        temperature: Positive number that the cosines are divided by. Defaults to 0.07, the value of the paper.

    Returns:
        `(batch,)` losses, float32, at least 0.

    Raises:
        UserError: If `temperature` is not positive, `count` is below 1, or `noise` has no columns.

    Example:
        >>> zeros = np.zeros((1, 1))
        >>> loss = kv.losses.noise_contrastive(zeros[0], zeros, log_partition=np.log(8.0), count=8)
        >>> round(float(loss[0]), 4)  # 2 ln 2
        1.3863

    References:
        Wu et al. 2018, arXiv 1805.01978, equations 4 to 7.
    """
    checks.positive({"temperature": temperature})
    if count < 1:
        raise checks.UserError("count", expected="a count of at least 1", received=count)
    if noise.shape[-1] < 1:
        raise checks.UserError("noise", expected="(batch, m) cosines with m at least 1", received=tuple(noise.shape))
    shift = math.log(noise.shape[-1] / count) + ops.cast(log_partition, "float32")
    odds, noise_odds = (ops.cast(x, "float32") / temperature - shift for x in (positive, noise))  # ln(P / (m / N))
    return ops.softplus(-odds) + ops.sum(ops.softplus(noise_odds), axis=-1)
