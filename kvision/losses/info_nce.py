"""MoCo's loss: find the key of the same image among keys of different images."""

from keras import ops

from kvision import checks

__all__ = ["info_nce"]


def info_nce(positive, negatives, *, temperature: float = 0.07):
    """Computes InfoNCE: the cross entropy of the right key among one positive and K negative keys.

    If all similarities are equal, the loss is ln(K + 1). For random unit vectors of width D, the loss is higher by
    about 1 / (2 D temperature^2).

    Args:
        positive: `(batch,)` cosines to the key of the same image.
        negatives: `(batch, K)` cosines to the keys of different images.
        temperature: Positive number that the cosines are divided by. Defaults to 0.07, the value of MoCo.

    Returns:
        `(batch,)` losses, float32, at least 0.

    Raises:
        UserError: If `temperature` is not positive.

    Example:
        >>> loss = kv.losses.info_nce(np.array([0.5]), np.array([[0.5, 0.5, 0.5]]))
        >>> round(float(loss[0]), 4)  # ln 4
        1.3863

    References:
        van den Oord, Li and Vinyals 2018, arXiv 1807.03748, equation 4. He et al. 2020, arXiv 1911.05722, equation 1.
    """
    checks.positive({"temperature": temperature})
    positive, negatives = (ops.cast(x, "float32") / temperature for x in (positive, negatives))
    return ops.logsumexp(ops.concatenate([positive[:, None], negatives], axis=-1), axis=-1) - positive
